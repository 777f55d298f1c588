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
			if os.Geteuid() != 0 {
				return errors.New("reckon up starts containers and must be root: run it with sudo")
			}
			if err := f.prepare(); err != nil {
				return err
			}
			if pid, err := f.running(); err != nil {
				return err
			} else if pid != 0 {
				return fmt.Errorf("the data folder %s is in use by reckon with pid %d: stop it with reckon down --data %s", f, pid, f)
			}
			if detach {
				if err := f.detach(cmd.Context(), cmd.OutOrStdout()); err != nil {
					return err
				}
				return sayHow(cmd.OutOrStdout(), f)
			}
			o.folder = f
			return runUp(cmd.Context(), o, cmd.OutOrStdout())
		},
	}
	dataFlags(cmd)
	o.serverFlags(cmd)
	o.nodeFlags(cmd)
	cmd.Flags().BoolVarP(&detach, "detach", "d", false, "run in the background; return once the node is ready")
	return cmd
}

// runUp runs server and node until ctx ends.
func runUp(ctx context.Context, o planeOptions, w io.Writer) error {
	release, err := o.folder.claim()
	if err != nil {
		return err
	}
	defer release()
	say, err := newProgress(w)
	if err != nil {
		return err
	}
	return runPlane(ctx, o, true, say)
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
