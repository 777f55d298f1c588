package network

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"

	"github.com/reckon-project/reckon/events"
)

// setSysctls lets the node forward, and lets iptables see what pods of one
// bridge send each other (services need it).
func setSysctls(ctx context.Context) error {
	if err := writeSysctl("/proc/sys/net/ipv4/ip_forward", "1"); err != nil {
		return err
	}
	const bridged = "/proc/sys/net/bridge/bridge-nf-call-iptables"
	err := writeSysctl(bridged, "1")
	if errors.Is(err, fs.ErrNotExist) {
		if out, err := exec.CommandContext(ctx, "modprobe", "br_netfilter").CombinedOutput(); err != nil {
			return fmt.Errorf("%w: the kernel module br_netfilter can't be loaded: %v: %s", events.ErrUnavailable, err, bytes.TrimSpace(out))
		}
		err = writeSysctl(bridged, "1")
	}
	return err
}

func writeSysctl(path, value string) error {
	have, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read sysctl: %w", err)
	}
	if string(bytes.TrimSpace(have)) == value {
		return nil // it may be read-only, in a container
	}
	if err := os.WriteFile(path, []byte(value), 0o644); err != nil {
		return fmt.Errorf("set sysctl: %w", err)
	}
	return nil
}
