package main

import (
	"os"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	kubectl "k8s.io/kubectl/pkg/cmd"
)

// newKubectl is the kubectl that is built in. Without --kubeconfig or
// KUBECONFIG it talks to the cluster of this machine.
func newKubectl() *cobra.Command {
	flags := genericclioptions.NewConfigFlags(true).WithDeprecatedPasswordFlag().WithDiscoveryBurst(300).WithDiscoveryQPS(50)
	cmd := kubectl.NewKubectlCommand(kubectl.KubectlOptions{
		ConfigFlags: flags,
		Arguments:   os.Args,
		IOStreams:   genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr},
	})
	cmd.Use = "kubectl"
	cmd.Short = "The kubectl that is built in, pointed at this cluster"
	own := cmd.PersistentPreRunE
	cmd.PersistentPreRunE = func(c *cobra.Command, args []string) error {
		if os.Getenv("KUBECONFIG") == "" && (flags.KubeConfig == nil || *flags.KubeConfig == "") {
			data := os.Getenv("RECKON_DATA")
			if data == "" {
				data = defaultData
			}
			if _, err := os.Stat(folder(data).kubeconfig()); err == nil {
				*flags.KubeConfig = folder(data).kubeconfig()
			}
		}
		if own != nil {
			return own(c, args)
		}
		return nil
	}
	return cmd
}
