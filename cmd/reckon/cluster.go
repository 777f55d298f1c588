package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/reckon-project/reckon/bus/server"
	"github.com/reckon-project/reckon/bus/trust"
	"github.com/spf13/pflag"
)

// membership is what a server of a cluster keeps about it in its folder; a
// single server has none.
type membership struct {
	Name   string   `json:"name"`
	Listen string   `json:"listen"`
	Peers  []string `json:"peers"` // host:port of all servers, this one too
}

// clusterOptions are the flags of a server that isn't alone.
type clusterOptions struct {
	name   string
	listen string
	peers  []string
	join   string
	token  string
}

func (o *clusterOptions) flags(f *pflag.FlagSet) {
	f.StringVar(&o.name, "server-name", defaultNodeName(), "this server's name in its cluster")
	f.StringVar(&o.listen, "cluster-listen", "", "address for the cluster's other servers, HOST:PORT as they reach it")
	f.StringSliceVar(&o.peers, "cluster", nil, "the --cluster-listen addresses of all servers, for the first one to start: it makes this server one of several")
	f.StringVar(&o.join, "join", "", "the bus of a server that runs, HOST:PORT: become a server of its cluster")
	f.StringVar(&o.token, "token", "", "with --join: what reckon token --server prints there")
}

// membership finds out which cluster the server belongs to, and joins it if it
// is the first time; nil: it is alone.
func (o *planeOptions) membership(ctx context.Context) (*membership, error) {
	m, err := o.folder.readMembership()
	if err != nil {
		return nil, err
	}
	c := o.cluster
	switch {
	case m != nil:
		if c.listen != "" {
			m.Listen = c.listen
		}
		if len(c.peers) > 0 {
			m.Peers = c.peers
		}
	case c.join == "" && len(c.peers) == 0:
		return nil, nil
	default:
		if _, err := os.Stat(o.folder.path("nats/jetstream")); err == nil {
			return nil, fmt.Errorf("%s holds the log of a server that is alone, and can't become one of several: use another folder", o.folder)
		}
		m = &membership{Name: c.name, Listen: c.listen, Peers: c.peers}
		if c.join != "" {
			if m.Peers, err = o.folder.join(ctx, c); err != nil {
				return nil, fmt.Errorf("join the cluster at %s: %w", c.join, err)
			}
		}
	}
	if err := m.check(); err != nil {
		return nil, err
	}
	data, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	return m, os.WriteFile(o.folder.clusterFile(), data, 0o600)
}

func (m *membership) check() error {
	if m.Listen == "" {
		return errors.New("a server of a cluster needs --cluster-listen HOST:PORT, where the others reach it")
	}
	host, _, err := net.SplitHostPort(m.Listen)
	if ip := net.ParseIP(host); err != nil || host == "" || ip != nil && ip.IsUnspecified() {
		return fmt.Errorf("--cluster-listen %s: give the address, HOST:PORT, at which the other servers reach this one", m.Listen)
	}
	if len(m.Peers) < 3 {
		return fmt.Errorf("a cluster has three servers or more, so that one may fail; --cluster names %d", len(m.Peers))
	}
	if !slices.Contains(m.Peers, m.Listen) {
		return fmt.Errorf("this server's address %s is none of the cluster's (%s): give the list with --cluster", m.Listen, strings.Join(m.Peers, ", "))
	}
	return nil
}

func (f folder) readMembership() (*membership, error) {
	data, err := os.ReadFile(f.clusterFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	m := &membership{}
	if err := json.Unmarshal(data, m); err != nil {
		return nil, fmt.Errorf("%s is damaged: %w", f.clusterFile(), err)
	}
	return m, nil
}

// applyMembership fills in what a server of a cluster listens on, where nothing
// was said: other machines must reach it.
func (o *planeOptions) applyMembership(m *membership) error {
	host, _, err := net.SplitHostPort(m.Listen)
	if err != nil {
		return err
	}
	if o.natsListen == defaultNATSListen {
		o.natsListen = net.JoinHostPort(host, defaultNATSPort)
	}
	if ip := net.ParseIP(host); o.advertise == "" && ip != nil && !ip.IsLoopback() {
		o.advertise = host
	}
	return nil
}

// embedded is the membership as the bus takes it.
func (m *membership) embedded(a access, authority *trust.Authority) *server.Cluster {
	return &server.Cluster{
		Name: "reckon", Listen: m.Listen, Peers: m.Peers,
		Secret: a.token("cluster:routes"), TLS: authority.Peers(),
	}
}
