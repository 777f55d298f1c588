package direct

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/reckon-project/reckon/agent/cri"
	"github.com/reckon-project/reckon/agent/direct/logger"
)

// RemoveAll stops and removes every sandbox of the node of these options.
func RemoveAll(ctx context.Context, c *cri.Client, o Options) error {
	r := &Runtime{Images: c, o: o, cri: c, daemon: c.Daemon(), logger: logger.NewClient(o.Socket, "", nil), network: newNetwork(o.ConfDir, o.BinDirs), records: map[string]*record{}}
	ctx = inNamespace(ctx)
	if _, err := os.Stat(o.Dir); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err := r.load(ctx); err != nil {
		return err
	}
	if err := r.sweep(ctx); err != nil {
		return err
	}
	var errs []error
	for _, rec := range r.all((*record).isSandbox) {
		if err := r.RemoveSandbox(ctx, rec.id); err != nil {
			errs = append(errs, fmt.Errorf("remove sandbox %s: %w", rec.id, err))
		}
	}
	return errors.Join(errs...)
}

// StopLogger ends the logger of a socket's path, if one runs.
func StopLogger(ctx context.Context, socket string) error {
	return logger.NewClient(socket, "", nil).Quit(ctx)
}
