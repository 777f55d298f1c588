package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
)

func newServer() *cobra.Command {
	var o planeOptions
	var detach bool
	cmd := &cobra.Command{
		Use:   "server",
		Short: "Run the control plane without a node",
		Long: `Run the control plane without a node: alone, or as one of the servers of a cluster
that keeps everything on each of them.

  reckon server --server-name s1 --cluster-listen A:6222 --cluster A:6222,B:6222,C:6222
  reckon token --server                                 on s1: prints the token for the others
  reckon server --server-name s2 --cluster-listen B:6222 --join A:4222 --token TOKEN
  reckon server --server-name s3 --cluster-listen C:6222 --join A:4222 --token TOKEN`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := dataFolder(cmd)
			if err != nil {
				return err
			}
			o.folder = f
			return runFolder(cmd, f, detach, func(ctx context.Context, say *progress) error {
				if err := runPlane(ctx, o, false, say); err != nil {
					return fmt.Errorf("server: %w", err)
				}
				return nil
			})
		},
	}
	dataFlags(cmd)
	o.serverFlags(cmd)
	o.rangeFlags(cmd, false)
	cmd.Flags().BoolVarP(&detach, "detach", "d", false, "run in the background; return once the API answers")
	return cmd
}
