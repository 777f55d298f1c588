package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func newServer() *cobra.Command {
	var o planeOptions
	var detach bool
	cmd := &cobra.Command{
		Use:   "server",
		Short: "Run the control plane without a node",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := dataFolder(cmd)
			if err != nil {
				return err
			}
			if err := f.prepare(); err != nil {
				return err
			}
			if detach {
				return f.detach(cmd.Context(), cmd.OutOrStdout())
			}
			o.folder = f
			release, err := f.claim()
			if err != nil {
				return err
			}
			defer release()
			say, err := newProgress(cmd.OutOrStdout())
			if err != nil {
				return err
			}
			if err := runPlane(cmd.Context(), o, false, say); err != nil {
				return fmt.Errorf("server: %w", err)
			}
			return nil
		},
	}
	dataFlags(cmd)
	o.serverFlags(cmd)
	cmd.Flags().BoolVarP(&detach, "detach", "d", false, "run in the background; return once the API answers")
	return cmd
}
