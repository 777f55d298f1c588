package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/reckon-project/reckon/agent/cri"
	"github.com/reckon-project/reckon/agent/direct"
)

// purgeKept removes this node's pods from a containerd that others use too:
// those that are kept on disk.
func purgeKept(ctx context.Context, o Options) error {
	entries, err := os.ReadDir(filepath.Join(o.Dir, "pods"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	client, err := cri.Dial(o.ContainerdAddress)
	if err != nil {
		return err
	}
	defer client.Close()
	if err := direct.RemoveAll(ctx, client, Layout(o).Direct()); err != nil {
		return err
	}
	for _, e := range entries {
		sandboxes, err := client.List(ctx, e.Name())
		if err != nil {
			return fmt.Errorf("find what runs of pod %s: %w", e.Name(), err)
		}
		for _, s := range sandboxes {
			for _, c := range s.Containers {
				if err := client.StopContainer(ctx, c.Id, 0); err != nil {
					return err
				}
			}
			if err := errors.Join(client.StopSandbox(ctx, s.Id), client.RemoveSandbox(ctx, s.Id)); err != nil {
				return err
			}
		}
	}
	return nil
}
