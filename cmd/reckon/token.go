package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/reckon-project/reckon/bus/trust"
	"github.com/spf13/cobra"
)

// joinToken is what a node or server joins with: it proves the cluster to the
// one who joins, and him to the cluster.
type joinToken struct {
	authority string // hash of the bus's authority
	password  string
}

const joinTokenKind = "reckon1"

func (t joinToken) String() string { return joinTokenKind + "." + t.authority + "." + t.password }

func parseJoinToken(text string) (joinToken, error) {
	parts := strings.Split(strings.TrimSpace(text), ".")
	if len(parts) != 3 || parts[0] != joinTokenKind || parts[2] == "" {
		return joinToken{}, errors.New("--token is no join token: reckon token prints one on a server of the cluster")
	}
	if sum, err := hex.DecodeString(parts[1]); err != nil || len(sum) != 32 {
		return joinToken{}, errors.New("--token is damaged: copy it whole, as reckon token prints it")
	}
	return joinToken{parts[1], parts[2]}, nil
}

// busURL turns HOST:PORT, or several with commas, into what a bus connects to.
func busURL(join string) string {
	var out []string
	for _, each := range strings.Split(join, ",") {
		_, address, found := strings.Cut(strings.TrimSpace(each), "://")
		if !found {
			address = strings.TrimSpace(each)
		}
		out = append(out, "tls://"+address)
	}
	return strings.Join(out, ",")
}

// newToken prints what a node or a server joins with.
func newToken() *cobra.Command {
	var server bool
	cmd := &cobra.Command{
		Use:   "token NODE",
		Short: "Print the token with which a node, or another server, joins this cluster",
		Long: `Print the token with which the node of that name joins this cluster, or, with
--server, another server. It also carries what the joining side knows the cluster by,
so that the token is all that has to be copied. A server's token is worth as much as
root on a server: it gets the cluster's keys.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if server {
				return cobra.NoArgs(cmd, args)
			}
			return cobra.ExactArgs(1)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := dataFolder(cmd)
			if err != nil {
				return err
			}
			a, err := f.readAccess()
			if err != nil {
				return err
			}
			authority, err := trust.Open(f.pkiDir())
			if err != nil {
				return err
			}
			identity := anyServer
			if !server {
				identity = "node:" + args[0]
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), joinToken{authority.Hash(), a.token(identity)})
			return err
		},
	}
	dataFlags(cmd)
	cmd.Flags().BoolVar(&server, "server", false, "a token for another server of the cluster")
	return cmd
}
