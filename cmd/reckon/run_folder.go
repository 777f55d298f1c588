package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
)

// runFolder prepares a data folder and runs what works in it: in the background
// if detach is set, or here, until the command's context ends.
func runFolder(cmd *cobra.Command, f folder, detach bool, run func(context.Context, *progress) error) error {
	if err := f.prepare(); err != nil {
		return err
	}
	if pid, err := f.running(); err != nil {
		return err
	} else if pid != 0 {
		return fmt.Errorf("the data folder %s is in use by reckon with pid %d: stop it with reckon down --data %s", f, pid, f)
	}
	if detach {
		return f.detach(cmd.Context(), cmd.OutOrStdout())
	}
	release, err := f.claim()
	if err != nil {
		return err
	}
	defer release()
	say, err := newProgress(cmd.OutOrStdout())
	if err != nil {
		return err
	}
	return run(cmd.Context(), say)
}
