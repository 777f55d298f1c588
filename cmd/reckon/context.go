package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// pastPath is what the paths of the past begin with on a server.
const pastPath = "/at/"

// moment is what a server says that a moment is.
type moment struct {
	Sequence uint64    `json:"sequence"`
	Time     time.Time `json:"time"`
}

func (m moment) path() string { return fmt.Sprintf("%s%d", pastPath, m.Sequence) }

// askMoment asks the server which moment is meant.
func askMoment(ctx context.Context, config *rest.Config, when string) (moment, error) {
	config = rest.CopyConfig(config)
	config.Host, config.Timeout = present(config.Host), 30*time.Second
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return moment{}, err
	}
	answer := client.RESTClient().Get().AbsPath(pastPath + when).Do(ctx)
	if err := answer.Error(); err != nil {
		return moment{}, fmt.Errorf("--at %s: %w", when, err)
	}
	var m moment
	if data, err := answer.Raw(); err != nil || json.Unmarshal(data, &m) != nil || m.Sequence == 0 {
		return moment{}, fmt.Errorf("--at %s: the server at %s doesn't serve the past: is it one of reckon?", when, config.Host)
	}
	return m, nil
}

func newContext() *cobra.Command {
	var when, name string
	var use, now bool
	cmd := &cobra.Command{
		Use:   "context (--at WHEN | --now)",
		Short: "Let any Kubernetes client browse the past",
		Long: `Writes a context into the kubeconfig whose server address leads to a moment of the past,
so that any client (kubectl, k9s, Lens, Helm, client-go) shows the cluster as it was.

  reckon context --at 2h --use      from now on kubectl shows the cluster of two hours ago
  reckon context --now              back to the present; contexts of the past are removed`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f, err := dataFolder(cmd)
			if err != nil {
				return err
			}
			k, err := openKubeconfig(f)
			if err != nil {
				return err
			}
			switch {
			case now && when == "":
				return k.toPresent(cmd.OutOrStdout())
			case now || when == "":
				return errors.New("say which moment with --at (a sequence, a time or an age like 10m), or --now for the present")
			}
			return k.toPast(cmd.Context(), cmd.OutOrStdout(), when, name, use)
		},
	}
	dataFlags(cmd)
	cmd.Flags().StringVar(&when, "at", "", "the moment: a sequence of the log, a time (RFC 3339) or an age like 10m")
	cmd.Flags().StringVar(&name, "name", "", "name of the context (default: that of the present one and the sequence)")
	cmd.Flags().BoolVar(&use, "use", false, "make it the current context")
	cmd.Flags().BoolVar(&now, "now", false, "go back to the present and remove the contexts of the past")
	return cmd
}

// kubeconfig is the file that clients read: KUBECONFIG, or that of the cluster
// on this machine.
type kubeconfig struct {
	options *clientcmd.PathOptions
	config  *clientcmdapi.Config
}

func openKubeconfig(f folder) (*kubeconfig, error) {
	options := clientcmd.NewDefaultPathOptions()
	if os.Getenv(clientcmd.RecommendedConfigPathEnvVar) == "" {
		if _, err := os.Stat(f.kubeconfig()); err == nil {
			options.LoadingRules.ExplicitPath = f.kubeconfig()
		}
	}
	config, err := options.GetStartingConfig()
	if err != nil {
		return nil, fmt.Errorf("read the kubeconfig: %w", err)
	}
	return &kubeconfig{options, config}, nil
}

// present is the server's address without a moment.
func present(server string) string {
	before, _, _ := strings.Cut(server, pastPath)
	return before
}

func (k *kubeconfig) isPast(name string) bool {
	c := k.config.Contexts[name]
	return c != nil && k.config.Clusters[c.Cluster] != nil && strings.Contains(k.config.Clusters[c.Cluster].Server, pastPath)
}

// base is the context of the present that a context belongs to.
func (k *kubeconfig) base(name string) (string, error) {
	c := k.config.Contexts[name]
	if c == nil || k.config.Clusters[c.Cluster] == nil {
		return "", errors.New("the kubeconfig has no current context: choose one with kubectl config use-context, or name the cluster's folder with --data")
	}
	if !k.isPast(name) {
		return name, nil
	}
	server := present(k.config.Clusters[c.Cluster].Server)
	for other, o := range k.config.Contexts {
		if o.AuthInfo == c.AuthInfo && o.Namespace == c.Namespace && k.config.Clusters[o.Cluster] != nil && k.config.Clusters[o.Cluster].Server == server {
			return other, nil
		}
	}
	return "", fmt.Errorf("no context of the kubeconfig leads to the present of %s", server)
}

func (k *kubeconfig) toPast(ctx context.Context, out io.Writer, when, name string, use bool) error {
	base, err := k.base(k.config.CurrentContext)
	if err != nil {
		return err
	}
	config, err := clientcmd.NewNonInteractiveClientConfig(*k.config, base, &clientcmd.ConfigOverrides{}, k.options).ClientConfig()
	if err != nil {
		return err
	}
	m, err := askMoment(ctx, config, when)
	if err != nil {
		return err
	}
	if name == "" {
		name = fmt.Sprintf("%s@%d", base, m.Sequence)
	}
	if _, taken := k.config.Contexts[name]; taken && !k.isPast(name) {
		return fmt.Errorf("the context %s shows the present: choose another name with --name", name)
	}
	past := k.config.Contexts[base].DeepCopy()
	cluster := k.config.Clusters[past.Cluster].DeepCopy()
	cluster.Server = strings.TrimSuffix(cluster.Server, "/") + m.path()
	past.Cluster = name
	k.config.Contexts[name], k.config.Clusters[name] = past, cluster
	if use {
		k.config.CurrentContext = name
	}
	if err := clientcmd.ModifyConfig(k.options, *k.config, true); err != nil {
		return fmt.Errorf("write the kubeconfig: %w", err)
	}
	fmt.Fprintf(out, "context %s shows the cluster of %s (sequence %d)\n", name, m.Time.UTC().Format(time.RFC3339), m.Sequence)
	if !use {
		fmt.Fprintf(out, "  kubectl --context %s get pods -A\n", name)
	}
	return nil
}

func (k *kubeconfig) toPresent(out io.Writer) error {
	base, err := k.base(k.config.CurrentContext)
	if err != nil {
		return err
	}
	removed := 0
	for name, c := range k.config.Contexts {
		if k.isPast(name) {
			delete(k.config.Clusters, c.Cluster)
			delete(k.config.Contexts, name)
			removed++
		}
	}
	k.config.CurrentContext = base
	if err := clientcmd.ModifyConfig(k.options, *k.config, true); err != nil {
		return fmt.Errorf("write the kubeconfig: %w", err)
	}
	fmt.Fprintf(out, "context %s shows the present; removed %d of the past\n", base, removed)
	return nil
}
