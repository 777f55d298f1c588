package direct

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"

	"github.com/moby/sys/mountinfo"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// The pins in a folder of namespaces.
const (
	pinNet = "net"
	pinIPC = "ipc"
	pinUTS = "uts"
)

var pins = map[string]int{pinNet: unix.CLONE_NEWNET, pinIPC: unix.CLONE_NEWIPC, pinUTS: unix.CLONE_NEWUTS}

// defaultSysctls are what every pod with a network of its own may do as any user:
// serve low ports, and ping.
var defaultSysctls = map[string]string{
	"net.ipv4.ip_unprivileged_port_start": "0",
	"net.ipv4.ping_group_range":           "0 2147483647",
}

// onThread runs f on a thread that ends with it, whose namespaces may be
// changed. It is never the process's first one: /proc/self shows that one's.
func onThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		goruntime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			done <- onThread(f) // on another, as this one is taken
			goruntime.UnlockOSThread()
			return
		}
		done <- f() // and the thread is never unlocked
	}()
	return <-done
}

// makeNamespaces makes namespaces and pins them in dir, which it makes. net
// says whether there is one for the network.
func makeNamespaces(dir string, net bool) error {
	err := onThread(func() error {
		if err := os.MkdirAll(dir, 0o711); err != nil {
			return err
		}
		flags := unix.CLONE_NEWIPC
		if net {
			flags |= unix.CLONE_NEWNET | unix.CLONE_NEWUTS // the node's network comes with the node's name
		}
		if err := unix.Unshare(flags); err != nil {
			return err
		}
		for name, flag := range pins {
			if flags&flag == 0 {
				continue
			}
			pin := filepath.Join(dir, name)
			if err := os.WriteFile(pin, nil, 0o444); err != nil {
				return err
			}
			if err := unix.Mount("/proc/thread-self/ns/"+name, pin, "", unix.MS_BIND, ""); err != nil {
				return fmt.Errorf("pin a namespace at %s: %w", pin, err)
			}
		}
		if !net {
			return nil
		}
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		if err := netlink.LinkSetUp(lo); err != nil {
			return err
		}
		return writeSysctls(defaultSysctls)
	})
	if err != nil {
		return errors.Join(fmt.Errorf("make a pod's namespaces: %w", err), removeNamespaces(dir))
	}
	return nil
}

// inNamespaces runs f on a thread in the namespaces that are pinned in dir.
func inNamespaces(dir string, f func() error, names ...string) error {
	return onThread(func() error {
		for _, name := range names {
			fd, err := unix.Open(filepath.Join(dir, name), unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if errors.Is(err, unix.ENOENT) {
				continue // the node's
			}
			if err != nil {
				return err
			}
			err = unix.Setns(fd, pins[name])
			unix.Close(fd)
			if err != nil {
				return fmt.Errorf("enter the namespace at %s: %w", filepath.Join(dir, name), err)
			}
		}
		return f()
	})
}

// adaptNamespaces gives the namespaces in dir a host name and sysctls.
func adaptNamespaces(dir, hostname string, sysctls map[string]string) error {
	return inNamespaces(dir, func() error {
		if hostname != "" {
			if err := unix.Sethostname([]byte(hostname)); err != nil {
				return fmt.Errorf("set the host name: %w", err)
			}
		}
		return writeSysctls(sysctls)
	}, pinNet, pinIPC, pinUTS)
}

func writeSysctls(sysctls map[string]string) error {
	for name, value := range sysctls {
		// In a name dots are slashes; a slash is a dot that belongs to it.
		path := filepath.Join("/proc/sys", strings.NewReplacer(".", "/", "/", ".").Replace(name))
		if err := os.WriteFile(path, []byte(value), 0o644); err != nil {
			return fmt.Errorf("set sysctl %s: %w", name, err)
		}
	}
	return nil
}

// removeNamespaces lets go of the namespaces in dir.
func removeNamespaces(dir string) error {
	for name := range pins {
		pin := filepath.Join(dir, name)
		if err := unix.Unmount(pin, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("unmount %s: %w", pin, err)
		}
	}
	return os.RemoveAll(dir)
}

// isPinned reports whether a namespace is there: a machine that was started
// again has the file only.
func isPinned(pin string) (bool, error) {
	mounted, err := mountinfo.Mounted(pin)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return mounted, err
}
