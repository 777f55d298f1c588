package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/apiserver/pkg/storage/storagebackend/factory"
	"k8s.io/client-go/tools/cache"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// FactoryOptions say what all stores of a server share.
type FactoryOptions struct {
	Log                bus.Log                 // LOG
	Projection         *projections.Projection // of Log
	Volatile           bus.Log                 // VOLATILE
	VolatileProjection *projections.Projection // of Volatile

	// Schemes that know internal and versioned types, for conversion without
	// JSON (legacyscheme, those of the extension and aggregation servers).
	Schemes []*runtime.Scheme
	// Sealer gives the Sealer of a resource, nil for none; nil: nothing is sealed.
	Sealer func(schema.GroupResource) Sealer
	Source string           // ce-source of the events; "gateway" if empty
	Now    func() time.Time // nil: time.Now
}

// Factory makes the stores of a server.
type Factory struct {
	options           FactoryOptions
	durable, volatile *Hub
}

// NewFactory makes a Factory; its stores answer watches while it runs.
func NewFactory(o FactoryOptions) *Factory {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Factory{options: o, durable: NewHub(o.Projection), volatile: NewHub(o.VolatileProjection)}
}

// Start appends the event that a log begins with, so that positions are above
// 0, and, to VOLATILE, one that lets a projection that began after the newest
// events had expired reach the stream's end. It waits until both are folded.
func (f *Factory) Start(ctx context.Context) error {
	_, last, err := f.options.Log.Range(ctx)
	if err != nil {
		return err
	}
	if last == 0 {
		if err := f.open(ctx, f.options.Log, events.PrefixDecision); err != nil {
			return err
		}
	}
	if err := f.open(ctx, f.options.Volatile, events.PrefixVolatile); err != nil {
		return err
	}
	return errors.Join(catchUp(ctx, f.options.Log, f.options.Projection), catchUp(ctx, f.options.Volatile, f.options.VolatileProjection))
}

func (f *Factory) open(ctx context.Context, log bus.Log, prefix string) error {
	source := f.options.Source
	if source == "" {
		source = "gateway"
	}
	_, err := log.Append(ctx, bus.Entry{Event: &events.Event{
		Prefix: prefix, Key: events.Key{Group: "reckon.dev", Resource: "streams", Name: prefix},
		ID: bus.NewID(), Source: source, Type: events.Opened, Time: f.options.Now(),
		Reason: "LogOpened", Note: "a server opened the log",
	}})
	if err != nil {
		return fmt.Errorf("open the stream of %s events: %w", prefix, err)
	}
	return nil
}

func catchUp(ctx context.Context, log bus.Log, p *projections.Projection) error {
	_, last, err := log.Range(ctx)
	if err != nil {
		return err
	}
	return p.WaitFor(ctx, last)
}

// Run feeds the watches until ctx ends or folding stops.
func (f *Factory) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return f.durable.Run(ctx) })
	g.Go(func() error { return f.volatile.Run(ctx) })
	return g.Wait()
}

// Volatile reports whether a resource is kept in VOLATILE.
func Volatile(r schema.GroupResource) bool {
	switch canonical(r) {
	case schema.GroupResource{Resource: "events"}, schema.GroupResource{Group: "coordination.k8s.io", Resource: "leases"}:
		return true
	}
	return false
}

var _ generic.StorageDecorator = (*Factory)(nil).Decorator

// Decorator makes a resource's store; it is a generic.StorageDecorator.
func (f *Factory) Decorator(
	config *storagebackend.ConfigForResource, resourcePrefix string,
	_ func(obj runtime.Object) (string, error), newFunc, newListFunc func() runtime.Object,
	_ storage.AttrFunc, _ storage.IndexerFuncs, _ *cache.Indexers,
) (storage.Interface, factory.DestroyFunc, error) {
	o := Options{
		Log: f.options.Log, Projection: f.options.Projection, Hub: f.durable,
		Resource: config.GroupResource, ResourcePrefix: resourcePrefix,
		Codec: config.Codec, Schemes: f.options.Schemes, EncodeVersioner: config.EncodeVersioner,
		NewFunc: newFunc, NewListFunc: newListFunc,
		Source: f.options.Source, Now: f.options.Now,
	}
	if Volatile(config.GroupResource) {
		o.Volatile, o.Log, o.Projection, o.Hub = true, f.options.Volatile, f.options.VolatileProjection, f.volatile
	}
	if f.options.Sealer != nil {
		o.Sealer = f.options.Sealer(config.GroupResource)
	}
	s, err := New(o)
	if err != nil {
		return nil, nil, err
	}
	return s, func() {}, nil
}
