package network

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Setup makes the node's pod network and says what it made. The runtime finds
// the CNI configuration in Network.ConfDir.
func Setup(ctx context.Context, o Options) (Network, error) {
	n, err := setup(ctx, o)
	if err != nil {
		return Network{}, fmt.Errorf("set up the pod network: %w", err)
	}
	return n, nil
}

func setup(ctx context.Context, o Options) (Network, error) {
	if err := o.check(); err != nil {
		return Network{}, err
	}
	var err error
	if !o.PodCIDR.IsValid() {
		if o.PodCIDR, err = o.keptPodCIDR(); err != nil {
			return Network{}, err
		}
	}
	if !o.PodCIDR.IsValid() {
		if o.PodCIDR, err = pickPodCIDR(o.Avoid); err != nil {
			return Network{}, err
		}
	}
	o.PodCIDR = o.PodCIDR.Masked()
	n := Network{
		PodCIDR: o.PodCIDR, Gateway: o.PodCIDR.Addr().Next(),
		Bridge: o.bridge(), MTU: outwardMTU(), ConfDir: o.confDir(),
	}
	if err := setSysctls(ctx); err != nil {
		return n, err
	}
	if err := setBridge(n); err != nil {
		return n, err
	}
	if err := setRules(o, n); err != nil {
		return n, err
	}
	return n, o.writeConflist(n)
}

// Teardown removes what Setup made and what pods left of their network. Nothing
// there is no error. ip_forward stays as it is: others may rely on it.
func Teardown(_ context.Context, o Options) error {
	if err := o.check(); err != nil {
		return err
	}
	err := errors.Join(
		removeRules(o),
		removeBridge(o.bridge()),
		removeNamespaces(o.NetnsDir),
		os.RemoveAll(filepath.Join(o.Dir, "cni")),
	)
	if err != nil {
		return fmt.Errorf("remove the pod network: %w", err)
	}
	return nil
}

// removeNamespaces unmounts and removes the network namespaces in dir.
func removeNamespaces(dir string) error {
	if dir == "" {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if os.IsNotExist(err) {
		return nil
	} else if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		for unix.Unmount(path, unix.MNT_DETACH) == nil {
		}
		errs = append(errs, os.Remove(path))
	}
	return errors.Join(errs...)
}
