package network

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/reckon-project/reckon/agent/network/netnstest"
)

// pluginDir is where Debian puts the CNI plugins.
const pluginDir = "/usr/lib/cni"

// addPod gives a namespace an interface as a runtime does, by the first plugin
// of the configuration, and returns its address.
func addPod(t *testing.T, node, pod *netnstest.NS, n Network) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(n.ConfDir, "10-reckon.conflist"))
	if err != nil {
		t.Fatal(err)
	}
	var list struct {
		CNIVersion, Name string
		Plugins          []map[string]any
	}
	if err := json.Unmarshal(data, &list); err != nil {
		t.Fatal(err)
	}
	conf := list.Plugins[0]
	conf["cniVersion"], conf["name"] = list.CNIVersion, list.Name
	stdin, err := json.Marshal(conf)
	if err != nil {
		t.Fatal(err)
	}
	var result struct {
		IPs []struct{ Address string }
	}
	node.Must(t, func() error {
		cmd := exec.Command(filepath.Join(pluginDir, "bridge"))
		cmd.Stdin = bytes.NewReader(stdin)
		cmd.Env = []string{"CNI_COMMAND=ADD", "CNI_CONTAINERID=" + pod.Name, "CNI_NETNS=" + pod.Path(), "CNI_IFNAME=eth0", "CNI_PATH=" + pluginDir, "PATH=" + os.Getenv("PATH")}
		out, err := cmd.Output()
		if err != nil {
			return fmt.Errorf("bridge plugin (apt-get install containernetworking-plugins): %w: %s", err, out)
		}
		return json.Unmarshal(out, &result)
	})
	ip, _, _ := strings.Cut(result.IPs[0].Address, "/")
	return ip
}

// answer listens in a namespace and tells each caller the address it came from.
func answer(t *testing.T, ns *netnstest.NS, address string) {
	t.Helper()
	var l net.Listener
	ns.Must(t, func() (err error) { l, err = net.Listen("tcp", address); return err })
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			host, _, _ := net.SplitHostPort(c.RemoteAddr().String())
			fmt.Fprintln(c, host)
			c.Close()
		}
	}()
}

func ask(t *testing.T, ns *netnstest.NS, address string) string {
	t.Helper()
	var line string
	ns.Must(t, func() error {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
		if err != nil {
			return err
		}
		defer c.Close()
		line, err = bufio.NewReader(c).ReadString('\n')
		return err
	})
	return strings.TrimSpace(line)
}

func TestPodsReachEachOtherAndTheWorld(t *testing.T) {
	node, a, b, world := netnstest.New(t), netnstest.New(t), netnstest.New(t), netnstest.New(t)
	netnstest.Connect(t, node, world, netip.MustParsePrefix("192.0.2.1/24"), netip.MustParsePrefix("192.0.2.2/24"))
	before := state(t, node)
	o := Options{Dir: t.TempDir()}
	var n Network
	for range 2 { // again changes nothing
		node.Must(t, func() (err error) { n, err = Setup(context.Background(), o); return err })
	}
	ipA, ipB := addPod(t, node, a, n), addPod(t, node, b, n)
	answer(t, b, ipB+":80")
	answer(t, world, "192.0.2.2:80")
	if got := ask(t, a, ipB+":80"); got != ipA {
		t.Errorf("pod to pod came from %s, want the pod's %s", got, ipA)
	}
	if got := ask(t, a, "192.0.2.2:80"); got != "192.0.2.1" {
		t.Errorf("pod to the world came from %s, want the node's address", got)
	}
	if got := ask(t, node, ipB+":80"); got != n.Gateway.String() {
		t.Errorf("node to pod came from %s, want the gateway %s", got, n.Gateway)
	}
	node.Must(t, func() error { return Teardown(context.Background(), o) })
	if after := state(t, node); after != before {
		t.Errorf("Teardown left something:\n%s\nbefore:\n%s", after, before)
	}
	if _, err := os.Stat(filepath.Join(o.Dir, "cni")); !os.IsNotExist(err) {
		t.Errorf("Teardown left the CNI folder: %v", err)
	}
	node.Must(t, func() error { return Teardown(context.Background(), o) }) // nothing there is no error
}

// state is what Setup and Teardown change of a namespace.
func state(t *testing.T, ns *netnstest.NS) string {
	t.Helper()
	var rules []string
	for line := range strings.Lines(ns.Run(t, "iptables-save")) {
		if strings.HasPrefix(line, "-") || (strings.HasPrefix(line, ":") && strings.Contains(line, " - ")) {
			rules = append(rules, line)
		}
	}
	var links []string
	for line := range strings.Lines(ns.Run(t, "ip", "-br", "link")) {
		links = append(links, strings.Fields(line)[0])
	}
	return strings.Join(rules, "") + strings.Join(links, "\n") + "\n" + ns.Run(t, "ip", "route")
}

func TestTwoNodesInOneNamespace(t *testing.T) {
	ns := netnstest.New(t)
	first, second := Options{Dir: t.TempDir()}, Options{Dir: t.TempDir(), Avoid: []netip.Prefix{netip.MustParsePrefix("10.42.1.0/24")}}
	var n1, n2, again Network
	ns.Must(t, func() (err error) { n1, err = Setup(t.Context(), first); return err })
	ns.Must(t, func() (err error) { n2, err = Setup(t.Context(), second); return err })
	if n1.Bridge == n2.Bridge || n1.PodCIDR.Overlaps(n2.PodCIDR) {
		t.Errorf("two nodes clash: %+v, %+v", n1, n2)
	}
	if want := netip.MustParsePrefix("10.42.2.0/24"); n2.PodCIDR != want {
		t.Errorf("the second node got %s, want the first range that is free and not to avoid, %s", n2.PodCIDR, want)
	}
	ns.Must(t, func() error { return Teardown(t.Context(), first) })
	ns.Must(t, func() (err error) { again, err = Setup(t.Context(), second); return err })
	if again != n2 {
		t.Errorf("a second start gave %+v, want %+v as before", again, n2)
	}
	ns.Must(t, func() error { return Teardown(t.Context(), second) })
}

func TestOptionsAreChecked(t *testing.T) {
	for _, o := range []Options{
		{},
		{Dir: "x", PodCIDR: netip.MustParsePrefix("10.0.0.0/30")},
		{Dir: "x", PodCIDR: netip.MustParsePrefix("fd00::/64")},
	} {
		if _, err := Setup(t.Context(), o); err == nil {
			t.Errorf("Setup(%+v) succeeded", o)
		}
	}
}
