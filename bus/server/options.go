package server

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"

	"github.com/reckon-project/reckon/events"
)

// Values of Options.Durability.
const (
	Strict = "strict" // an acknowledged event survives a power cut
	Fast   = "fast"   // ... if it is older than 100 ms
)

// Options of Start.
type Options struct {
	Dir        string      // all state is below Dir/nats
	Name       string      // of this server, unique in a cluster
	Listen     string      // host:port for clients; "" for in-process connections only
	TLS        *tls.Config // nil: plain text
	Cluster    *Cluster    // nil: a single server
	Durability string      // Strict (the default) or Fast

	// Authenticate gives the identity of a connection from outside:
	// "node:<name>", "user:<name>", "controller:<namespace>:<service account>",
	// "server:<name>" for a server that joins, or
	// "component:<name>" for full rights. nil refuses all of them.
	Authenticate func(Login) (identity string, err error)

	// Handover gives what another server of the cluster, which proved that it may
	// join, needs to become one; nil: none may join here. It is asked before
	// there is a majority, too.
	Handover func(server string) ([]byte, error)

	// OnSyncFailure is called when data could not be made durable; it must end
	// the process. The default logs and exits.
	OnSyncFailure func(error)
	Log           *slog.Logger
}

// Cluster makes the server one of several that replicate everything.
type Cluster struct {
	Name   string
	Listen string   // host:port for the other servers
	Peers  []string // host:port of all of them
	Secret string   // what they show each other
	TLS    *tls.Config
}

// Login is what a connection from outside shows.
type Login struct {
	User, Password, Token string
	Remote                string
	TLS                   *tls.ConnectionState
}

func (o Options) complete() (Options, error) {
	if o.Dir == "" {
		return o, fmt.Errorf("%w: the bus needs a folder for its data", events.ErrInvalid)
	}
	if o.Name == "" {
		o.Name = "reckon"
	}
	switch o.Durability {
	case "":
		o.Durability = Strict
	case Strict, Fast:
	default:
		return o, fmt.Errorf("%w: durability is %s or %s, not %q", events.ErrInvalid, Strict, Fast, o.Durability)
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.OnSyncFailure == nil {
		log := o.Log
		o.OnSyncFailure = func(err error) {
			log.Error("events could not be made durable; ending, as what is on disk is uncertain", "error", err)
			os.Exit(74)
		}
	}
	return o, nil
}
