package hollow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/clock"

	"github.com/reckon-project/reckon/agent"
	"github.com/reckon-project/reckon/bus"
)

// Options say how many nodes to pretend and what they are like.
type Options struct {
	Nodes  int
	Prefix string // of the nodes' names: "hollow" gives hollow-0, hollow-1, ...
	First  int    // number of the first
	// Connect gives the connection of one node, with the identity node:<name>.
	Connect func(ctx context.Context, node string) (bus.Bus, error)
	// API reaches the Kubernetes API as one node; nil goes over its bus connection.
	API      func(node string) http.RoundTripper
	Capacity v1.ResourceList // nil: 32 cores, 256 GiB, 250 pods
	Labels   func(i int) map[string]string
	Delay    time.Duration // that a pod takes to start
	Settle   time.Duration // as in agent.Options
	Clock    clock.WithTickerAndDelayedExecution
	Log      *slog.Logger
}

// Run runs the nodes until ctx is done.
func Run(ctx context.Context, o Options) error {
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	if o.Prefix == "" {
		o.Prefix = "hollow"
	}
	if o.Capacity == nil {
		o.Capacity = v1.ResourceList{
			v1.ResourceCPU: resource.MustParse("32"), v1.ResourceMemory: resource.MustParse("256Gi"),
			v1.ResourcePods: resource.MustParse("250"), v1.ResourceEphemeralStorage: resource.MustParse("1Ti"),
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var all sync.WaitGroup
	for i := o.First; i < o.First+o.Nodes; i++ {
		all.Go(func() {
			if err := runOne(ctx, o, i); err != nil && ctx.Err() == nil {
				cancel(err)
			}
		})
	}
	all.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return ctx.Err()
}

func runOne(ctx context.Context, o Options, i int) error {
	name := fmt.Sprintf("%s-%d", o.Prefix, i)
	b, err := o.Connect(ctx, name)
	if err != nil {
		return fmt.Errorf("connect node %s: %w", name, err)
	}
	defer b.Close()
	options := agent.Options{
		Node: name, Bus: b, Runtime: NewRuntime(o.Clock, i, o.Delay), Capacity: o.Capacity, Clock: o.Clock, Log: o.Log, Settle: o.Settle,
		NodeIPs: []string{fmt.Sprintf("192.168.%d.%d", i>>8&255, i&255)},
		Labels:  map[string]string{"reckon.dev/hollow": "true"},
	}
	if o.API != nil {
		options.API = o.API(name)
	}
	if o.Labels != nil {
		for k, v := range o.Labels(i) {
			options.Labels[k] = v
		}
	}
	a, err := agent.New(options)
	if err != nil {
		return err
	}
	return a.Run(ctx)
}
