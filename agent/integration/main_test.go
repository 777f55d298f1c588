package integration

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/reckon-project/reckon/agent"
	"github.com/reckon-project/reckon/agent/direct/logger"
)

const (
	inside        = "RECKON_TEST_NETNS"
	loggerCommand = "container-logs"
)

// runtimeName drives all tests by another runtime, but for those that name theirs.
var runtimeName = flag.String("runtime", agent.RuntimeCRI, "the runtime to test: cri or direct")

// TestMain runs the tests in namespaces of their own: bridges, addresses,
// iptables chains and mounts that they make go with them, and the sockets of
// shims, which lie outside a node's folder, are nobody else's.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == loggerCommand { // for the direct runtime
		if err := logger.Serve(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	for _, part := range []string{"containerd", "runc", "ip", "/bin/busybox", "/usr/lib/cni/bridge"} {
		if _, err := exec.LookPath(part); err != nil {
			fmt.Fprintf(os.Stderr, "%s is missing: apt-get install containerd runc containernetworking-plugins iproute2 busybox-static\n", part)
			os.Exit(1)
		}
	}
	if os.Getenv(inside) == "" {
		cmd := exec.Command(os.Args[0], os.Args[1:]...)
		cmd.Env = append(os.Environ(), inside+"=1")
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
		if err := cmd.Run(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if err := os.MkdirAll("/run/containerd", 0o711); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err := syscall.Mount("tmpfs", "/run/containerd", "tmpfs", 0, "mode=711"); err != nil {
		fmt.Fprintf(os.Stderr, "mount a folder for the sockets of shims: %v\n", err)
		os.Exit(1)
	}
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "bring up the loopback: %v: %s\n", err, out)
		os.Exit(1)
	}
	os.Exit(m.Run())
}
