package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/server"
	"github.com/reckon-project/reckon/bus/trust"
	"github.com/reckon-project/reckon/gateway"
	"github.com/reckon-project/reckon/projections/sealed"
)

// handover is what a server that joins gets from one that is there: all that
// the servers of a cluster have in common, besides the log.
type handover struct {
	Secret string            `json:"secret"` // of access
	Peers  []string          `json:"peers"`
	Files  map[string][]byte `json:"files"` // in the data folder
}

// sharedFiles are the files, below the data folder, that all servers hold alike.
func sharedFiles() []string {
	return slices.Concat(gateway.SharedPKI, []string{"pki/" + trust.CertFile, "pki/" + trust.KeyFile, "cluster.key"})
}

// handover answers a server that joins. The files that a start makes only later
// are made now.
func (f folder) handover(a access, peers []string, name string) ([]byte, error) {
	if err := gateway.MakeSharedPKI(string(f)); err != nil {
		return nil, err
	}
	if _, err := sealed.ClusterKey(f.clusterKey()); err != nil {
		return nil, err
	}
	h := handover{Secret: a.Secret, Peers: peers, Files: map[string][]byte{}}
	for _, file := range sharedFiles() {
		data, err := os.ReadFile(f.path(file))
		if err != nil {
			return nil, err
		}
		h.Files[file] = data
	}
	slog.Info("a server joins", "server", name)
	return json.Marshal(h)
}

// join gets the cluster's secrets from a server that runs, keeps them, and
// returns the addresses of all servers.
func (f folder) join(ctx context.Context, o clusterOptions) ([]string, error) {
	if o.token == "" {
		return nil, errors.New("--join needs --token: run reckon token --server there")
	}
	t, err := parseJoinToken(o.token)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	data, err := server.Handover(ctx, busURL(o.join), bus.Credentials{
		Identity: anyServer + o.name, Password: t.password, TLS: trust.Pinned(t.authority),
	})
	if err != nil {
		return nil, err
	}
	var h handover
	if err := json.Unmarshal(data, &h); err != nil {
		return nil, fmt.Errorf("the answer is damaged: %w", err)
	}
	known := sharedFiles()
	for name, content := range h.Files {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("the server there hands over %s, which this version doesn't know: use the same version", name)
		}
		if err := os.MkdirAll(filepath.Dir(f.path(name)), 0o700); err != nil {
			return nil, err
		}
		if err := os.WriteFile(f.path(name), content, 0o600); err != nil {
			return nil, err
		}
	}
	secret, err := json.Marshal(access{Secret: h.Secret})
	if err != nil {
		return nil, err
	}
	return h.Peers, os.WriteFile(f.credentials(), secret, 0o600)
}
