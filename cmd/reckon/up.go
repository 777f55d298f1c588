package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
)

func newUp() *cobra.Command {
	var o planeOptions
	var detach bool
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Run a whole cluster on this machine",
		Long: `Run a whole cluster on this machine: the log, the Kubernetes API, the scheduler, the
controllers and a node, in one process. Everything it keeps is in the data folder.
Pods run on containerd; if none is named, a private one is started.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := dataFolder(cmd)
			if err != nil {
				return err
			}
			if o.hollow {
				o.hollowDefaults(cmd)
			} else if os.Geteuid() != 0 {
				return errors.New("reckon up starts containers and must be root: run it with sudo")
			}
			o.folder = f
			err = runFolder(cmd, f, detach, func(ctx context.Context, say *progress) error {
				return runPlane(ctx, o, true, say)
			})
			if err != nil || !detach {
				return err
			}
			return sayHow(cmd.OutOrStdout(), f)
		},
	}
	dataFlags(cmd)
	o.serverFlags(cmd)
	o.nodeFlags(cmd)
	o.rangeFlags(cmd, true)
	cmd.Flags().BoolVar(&o.hollow, "hollow", false, "run a fork (reckon fork): hollow nodes stand in for the real ones, on other ports unless told")
	cmd.Flags().BoolVarP(&detach, "detach", "d", false, "run in the background; return once the node is ready")
	return cmd
}

// sayHow tells how to use the cluster that was started.
func sayHow(w io.Writer, f folder) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	flag := ""
	if string(f) != defaultData {
		flag = " --data " + string(f)
	}
	_, err = fmt.Fprintf(w, `
The cluster is ready.

  export KUBECONFIG=%s
  kubectl get nodes                   or %s kubectl get nodes
  %s events -f%s        the story as it happens
  %s status%s
  %s down%s             stop it (--purge removes everything)
`, f.kubeconfig(), exe, exe, flag, exe, flag, exe, flag)
	return err
}
