package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/rest"
	kubectl "k8s.io/kubectl/pkg/cmd"
	cmdutil "k8s.io/kubectl/pkg/cmd/util"
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
	p := &pastKubectl{flags: flags}
	cmd.PersistentFlags().StringVar(&p.when, "at", "", "show the cluster as it was: a sequence of the log, a time (RFC 3339) or an age like 10m")
	own, after := cmd.PersistentPreRunE, cmd.PersistentPostRunE
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
		if err := p.begin(c); err != nil {
			return err
		}
		if own != nil {
			return own(c, args)
		}
		return nil
	}
	cmd.PersistentPostRunE = func(c *cobra.Command, args []string) error {
		p.end()
		if after != nil {
			return after(c, args)
		}
		return nil
	}
	return cmd
}

// pastKubectl points kubectl at the moment that --at names.
type pastKubectl struct {
	flags *genericclioptions.ConfigFlags
	when  string
	cache string // of discovery: what was served then
}

// begin learns which moment is meant, so that all requests of a command are
// about the same one.
func (p *pastKubectl) begin(c *cobra.Command) error {
	if p.when == "" {
		return nil
	}
	config, err := p.flags.ToRESTConfig()
	if err != nil {
		return err
	}
	m, err := askMoment(c.Context(), config, p.when)
	if err != nil {
		return err
	}
	wrap := p.flags.WrapConfigFn
	p.flags.WrapConfigFn = func(config *rest.Config) *rest.Config {
		if wrap != nil {
			config = wrap(config)
		}
		config.Host = strings.TrimSuffix(present(config.Host), "/") + m.path()
		return config
	}
	if f := c.Flag("cache-dir"); f == nil || !f.Changed {
		if p.cache, err = os.MkdirTemp("", "reckon-past-"); err != nil {
			return err
		}
		*p.flags.CacheDir = p.cache
		cmdutil.BehaviorOnFatal(func(text string, code int) {
			p.end()
			if text != "" {
				fmt.Fprintln(os.Stderr, strings.TrimSuffix(text, "\n"))
			}
			os.Exit(code)
		})
	}
	return nil
}

// end removes what begin made.
func (p *pastKubectl) end() {
	if p.cache != "" {
		os.RemoveAll(p.cache) //nolint:errcheck // a leftover in the temporary folder harms nobody
	}
}
