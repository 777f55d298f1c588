package controllers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/reckon-project/reckon/bus/client"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// Program is a program of custom controllers, which has a connection to the bus
// and nothing else. Several may run with one identity: one of them leads.
//
//	bus ─► the part of the log that the controllers declare ─► projection ─► Run
//	 ▲                                                                        │
//	 └────── the API, facts about status, the leadership ◄────────────────────┘
type Program struct {
	Cluster   *client.Client
	Namespace string // what it reads; "": all of them
	// Listen is where /metrics, /healthz and /readyz are served over HTTP; "": nowhere.
	Listen      string
	Holder      string        // for people; "": the host's name and the process id
	StopTimeout time.Duration // of reconciles under way at the end; 0: 10 s
	DryRun      io.Writer     // see Options.DryRun
	Logger      *slog.Logger  // nil: slog.Default
}

const stopTimeout = 10 * time.Second

// Run runs the controller on a cluster until ctx ends; see [Program].
func (c *Controller) Run(ctx context.Context, on *client.Client) error {
	return Program{Cluster: on}.Run(ctx, c)
}

// Run runs controllers until ctx ends (nil). A lost bus, a server that stops and
// rights that are missing are waited out. Errors: of class events.ErrInvalid for
// a controller that can't run outside the control plane, and the listener's.
func (p Program) Run(ctx context.Context, cs ...*Controller) error {
	resources, err := p.resources(cs)
	if err != nil {
		return err
	}
	if p.Holder == "" {
		host, _ := os.Hostname() //nolint:errcheck // it is for people
		p.Holder = fmt.Sprintf("%s %d", host, os.Getpid())
	}
	if p.StopTimeout == 0 {
		p.StopTimeout = stopTimeout
	}
	if p.Logger == nil {
		p.Logger = slog.Default()
	}
	log := p.Cluster.Follow(resources...)
	projection := projections.New(log, projections.Volatile(), projections.Logger(p.Logger))
	metrics := NewMetrics()
	end, err := p.serve(metrics, projection)
	if err != nil {
		return err
	}
	defer end()

	// What reconciles under way write at the end is still folded.
	folding, stop := context.WithCancel(context.WithoutCancel(ctx))
	var fold sync.WaitGroup
	fold.Go(func() {
		if err := projection.Run(folding); !errors.Is(err, context.Canceled) {
			p.Logger.Error("folding the log stopped", "error", err)
		}
	})
	defer func() {
		stop()
		fold.Wait()
	}()
	return Run(ctx, Options{
		Bus: p.Cluster, Projection: projection, Intake: func(string) http.RoundTripper { return p.Cluster.Transport() },
		Holder: p.Holder, Component: p.Cluster.Identity(), Reach: log.Reach,
		StopTimeout: p.StopTimeout, DryRun: p.DryRun, Metrics: metrics, Logger: p.Logger,
	}, cs...)
}

// resources are what controllers declare, each once.
func (p Program) resources(cs []*Controller) ([]client.Resource, error) {
	var out []client.Resource
	known := map[resource]bool{}
	for _, c := range cs {
		for _, w := range c.watches {
			r := resource{w.group, w.resource}
			if w.resource == "*" {
				return nil, fmt.Errorf("%w: %s watches every resource: a program of its own names those that it reads", events.ErrInvalid, c.name)
			}
			if !known[r] {
				known[r] = true
				out = append(out, client.Resource{Group: r.group, Resource: r.name, Namespace: p.Namespace})
			}
		}
		for _, t := range c.writes {
			if t != events.Reported {
				return nil, fmt.Errorf("%w: %s appends %q: a program of its own reports facts, and the API takes its decisions", events.ErrInvalid, c.name, t)
			}
		}
	}
	return out, nil
}

// serve answers what asks after the program, until end is called.
func (p Program) serve(m *Metrics, projection *projections.Projection) (end func(), err error) {
	if p.Listen == "" {
		return func() {}, nil
	}
	registry := prometheus.NewRegistry()
	for _, c := range []prometheus.Collector{m, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})} {
		if err := registry.Register(c); err != nil {
			return nil, err
		}
	}
	l, err := net.Listen("tcp", p.Listen)
	if err != nil {
		return nil, fmt.Errorf("serve metrics and health: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) {
		if projection.Snapshot().Position() == 0 {
			http.Error(w, "nothing of the log has been read yet", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			p.Logger.Error("serve metrics and health", "error", err)
		}
	})
	p.Logger.Info("metrics and health", "address", l.Addr().String())
	return func() {
		server.Close()
		serving.Wait()
	}, nil
}
