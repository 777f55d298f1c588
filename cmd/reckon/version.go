package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"
)

// Set by the linker.
var version = "dev"

// kubernetesVersion is the version of the Kubernetes API that is served.
const kubernetesVersion = "v1.37.1"

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "reckon %s (Kubernetes API %s, %s)\n", version, kubernetesVersion, runtime.Version())
			return err
		},
	}
}
