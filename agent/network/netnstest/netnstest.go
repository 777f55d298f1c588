// Package netnstest gives tests network namespaces of their own: real
// interfaces, iptables and connections, without touching the machine's.
package netnstest

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

var count atomic.Int64

// NS is a network namespace with loopback up. It goes away with the test.
type NS struct {
	Name   string // under /run/netns, so that "ip netns" and CNI plugins find it
	handle netns.NsHandle
}

// New makes a namespace. The test fails without root.
func New(t testing.TB) *NS {
	t.Helper()
	ns := &NS{Name: fmt.Sprintf("rkt-%d-%d", os.Getpid(), count.Add(1))}
	err := inside(netns.None(), func() error {
		var err error
		ns.handle, err = netns.NewNamed(ns.Name)
		if err != nil {
			return err
		}
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		return netlink.LinkSetUp(lo)
	})
	if err != nil {
		t.Fatalf("make a network namespace (needs root): %v", err)
	}
	t.Cleanup(func() {
		if err := netns.DeleteNamed(ns.Name); err != nil {
			t.Errorf("remove namespace %s: %v", ns.Name, err)
		}
		ns.handle.Close()
	})
	return ns
}

// Path is the file that CNI plugins take.
func (ns *NS) Path() string { return "/run/netns/" + ns.Name }

// Do runs f on a thread inside the namespace: commands that it starts and
// sockets that it opens belong there. Goroutines that f starts don't.
func (ns *NS) Do(f func() error) error { return inside(ns.handle, f) }

// Must is Do for what must not fail.
func (ns *NS) Must(t testing.TB, f func() error) {
	t.Helper()
	if err := ns.Do(f); err != nil {
		t.Fatalf("in namespace %s: %v", ns.Name, err)
	}
}

// Run runs a command inside and returns what it printed.
func (ns *NS) Run(t testing.TB, command ...string) string {
	t.Helper()
	var out []byte
	ns.Must(t, func() (err error) {
		out, err = exec.Command(command[0], command[1:]...).CombinedOutput()
		if err != nil {
			err = fmt.Errorf("%s: %w: %s", strings.Join(command, " "), err, out)
		}
		return err
	})
	return string(out)
}

// inside runs f on a thread of its own, which dies with its namespace.
func inside(handle netns.NsHandle, f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread is not used again
		var err error
		if handle.IsOpen() {
			err = netns.Set(handle)
		}
		if err == nil {
			err = f()
		}
		done <- err
	}()
	return <-done
}

// Connect joins two namespaces by a pair of interfaces that have these addresses.
func Connect(t testing.TB, a, b *NS, atA, atB netip.Prefix) {
	t.Helper()
	n := count.Add(1)
	nameA, nameB := fmt.Sprintf("va%d", n), fmt.Sprintf("vb%d", n)
	a.Must(t, func() error {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = nameA
		return netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: nameB, PeerNamespace: netlink.NsFd(b.handle)})
	})
	a.Must(t, func() error { return address(nameA, atA) })
	b.Must(t, func() error { return address(nameB, atB) })
}

func address(link string, p netip.Prefix) error {
	l, err := netlink.LinkByName(link)
	if err != nil {
		return err
	}
	ipnet := &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), 32)}
	if err := netlink.AddrAdd(l, &netlink.Addr{IPNet: ipnet}); err != nil {
		return err
	}
	return netlink.LinkSetUp(l)
}

// Attach gives a namespace an interface on a bridge of another one, as a CNI
// plugin does for a pod.
func Attach(t testing.TB, node *NS, bridge string, pod *NS, at netip.Prefix, gateway netip.Addr) {
	t.Helper()
	n := count.Add(1)
	host, inner := fmt.Sprintf("vh%d", n), fmt.Sprintf("vp%d", n)
	node.Must(t, func() error {
		master, err := netlink.LinkByName(bridge)
		if err != nil {
			return err
		}
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.MasterIndex = host, master.Attrs().Index
		if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: inner, PeerNamespace: netlink.NsFd(pod.handle)}); err != nil {
			return err
		}
		l, err := netlink.LinkByName(host)
		if err != nil {
			return err
		}
		if err := netlink.LinkSetUp(l); err != nil {
			return err
		}
		return netlink.LinkSetHairpin(l, true)
	})
	pod.Must(t, func() error {
		if err := address(inner, at); err != nil {
			return err
		}
		return netlink.RouteAdd(&netlink.Route{Gw: gateway.AsSlice()})
	})
}
