package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/reckon-project/reckon/bus/client"
)

func newController() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "controller",
		Short: "Credentials for controllers that run in programs of their own",
		Args:  cobra.NoArgs,
	}
	cmd.AddCommand(newControllerCreate())
	return cmd
}

// newControllerCreate makes the credentials of a custom controller.
func newControllerCreate() *cobra.Command {
	var namespace, server, output string
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Write the credentials with which a custom controller connects to the bus",
		Long: `Write the credentials with which a custom controller connects to the bus, as JSON. On the bus it is
the service account NAME, which is made if it isn't there, and has the rights that RBAC gives that:
list and watch let it follow a resource's events, patch on its status lets it report facts, and the
API does what it would do for anybody. Delete the service account to lock it out.

  reckon controller create website-operator --output website-operator.json
  reckon controller create website-operator --namespace web --server 192.0.2.7:4222 > credentials.json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := dataFolder(cmd)
			if err != nil {
				return err
			}
			a, err := f.readAccess()
			if err != nil {
				return err
			}
			if err := a.makeServiceAccount(cmd.Context(), namespace, args[0]); err != nil {
				return err
			}
			identity := client.Identity(namespace, args[0])
			who := client.Credentials{URL: a.URL, Identity: identity, Token: a.token(identity), Authority: a.Authority}
			if server != "" {
				who.URL = busURL(server)
			}
			data, err := json.MarshalIndent(who, "", "  ")
			if err != nil {
				return err
			}
			data = append(data, '\n')
			if output == "" {
				_, err := cmd.OutOrStdout().Write(data)
				return err
			}
			if err := os.WriteFile(output, data, 0o600); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: credentials of the service account %s/%s at %s\n", output, namespace, args[0], who.URL)
			return nil
		},
	}
	dataFlags(cmd)
	cmd.Flags().StringVarP(&namespace, "namespace", "n", "default", "of the service account")
	cmd.Flags().StringVar(&server, "server", "", "where the controller reaches the bus, HOST:PORT, several with commas (default: this machine's address of it)")
	cmd.Flags().StringVarP(&output, "output", "o", "", "the file to write (default: standard output)")
	return cmd
}

// makeServiceAccount makes sure that there is one.
func (a access) makeServiceAccount(ctx context.Context, namespace, name string) error {
	b, err := a.connect(ctx, operator)
	if err != nil {
		return err
	}
	defer b.Close()
	api, err := kubernetes.NewForConfig(apiOnBus(b, "user:admin"))
	if err != nil {
		return err
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	_, err = api.CoreV1().ServiceAccounts(namespace).Create(ctx, account, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		return fmt.Errorf("make the service account %s/%s: %s", namespace, name, status.Status().Message)
	}
	return err
}
