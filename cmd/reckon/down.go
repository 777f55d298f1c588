package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

func newDown() *cobra.Command {
	var purge bool
	cmd := &cobra.Command{
		Use:   "down",
		Short: "Stop the cluster of this machine",
		Long: `Stop the cluster of this machine. Its pods' containers keep running, so that the
next reckon up takes them over: an upgrade disturbs nothing.

With --purge everything that it made is removed: containers, network namespaces,
mounts, iptables chains and the data folder with the log. There is no way back.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := dataFolder(cmd)
			if err != nil {
				return err
			}
			if err := f.stop(cmd.Context(), cmd.OutOrStdout()); err != nil {
				return err
			}
			if !purge {
				if _, err := os.Stat(f.nodeDir()); err == nil { // there are none without a node
					fmt.Fprintln(cmd.OutOrStdout(), "the containers of its pods keep running; reckon up takes them over")
				}
				return nil
			}
			return f.purge(cmd.Context(), cmd.OutOrStdout())
		},
	}
	dataFlags(cmd)
	cmd.Flags().BoolVar(&purge, "purge", false, "remove everything that the cluster made on this machine, its data too")
	return cmd
}

// stop ends the running reckon and waits until it's gone.
func (f folder) stop(ctx context.Context, w io.Writer) error {
	pid, err := f.running()
	if err != nil {
		return err
	}
	if pid == 0 {
		fmt.Fprintf(w, "no reckon runs on %s\n", f)
		return nil
	}
	fmt.Fprintf(w, "stopping reckon (pid %d)\n", pid)
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop pid %d: %w", pid, err)
	}
	if err := waitExit(ctx, pid, 60*time.Second); err != nil {
		return err
	}
	fmt.Fprintln(w, "stopped")
	return nil
}

// waitExit waits until a process that may not be our child is gone.
func waitExit(ctx context.Context, pid int, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond) // another's child: there is no event to wait for
	defer tick.Stop()
	for {
		if err := syscall.Kill(pid, 0); errors.Is(err, syscall.ESRCH) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("pid %d is still there after %s: look at its log, or end it with kill -9 %d", pid, limit, pid)
		case <-tick.C:
		}
	}
}

// purge removes all that the cluster made on this machine. It refuses a folder
// that doesn't look like one of reckon's.
func (f folder) purge(ctx context.Context, w io.Writer) error {
	if _, err := os.Stat(string(f)); errors.Is(err, os.ErrNotExist) {
		fmt.Fprintf(w, "nothing at %s\n", f)
		return nil
	}
	if _, err := os.Stat(f.formatFile()); err != nil {
		return fmt.Errorf("%s is not a data folder of reckon (it has no file named %s): remove it yourself if you mean it", f, filepath.Base(f.formatFile()))
	}
	fmt.Fprintln(w, "removing containers, network and mounts")
	if err := f.purgeNode(ctx); err != nil {
		return err
	}
	fmt.Fprintf(w, "removing %s\n", f)
	return os.RemoveAll(string(f))
}
