package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/storage"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// Options say what a Store holds and where.
type Options struct {
	Log        bus.Log
	Projection *projections.Projection // of Log
	Hub        *Hub                    // of Projection
	Volatile   bool                    // Log is VOLATILE: events are whole objects, time to live holds

	Resource       schema.GroupResource
	ResourcePrefix string // what keys begin with: "/pods"
	Codec          runtime.Codec
	// Schemes that may convert values directly, without going through JSON:
	// the first that knows NewFunc's type does, to the version that
	// EncodeVersioner chooses. None: the codec does it all.
	Schemes         []*runtime.Scheme
	EncodeVersioner runtime.GroupVersioner
	NewFunc         func() runtime.Object
	NewListFunc     func() runtime.Object

	Sealer Sealer           // nil: values are stored as they are
	Source string           // ce-source of the events; "gateway" if empty
	Now    func() time.Time // ce-time of the events
}

// Sealer turns a value into the form that the log keeps, and back. Neither
// changes what it is given.
type Sealer interface {
	// Seal gives the form to store. old is the stored form that it replaces, nil
	// if there is none: what didn't change keeps its form.
	Seal(ctx context.Context, key events.Key, value, old runtime.Object) (runtime.Object, error)
	// Open is the inverse of Seal; stale asks for the value to be stored again.
	// Of a form that can't be opened any more on purpose it gives an error of
	// class events.ErrGone and a value without what was sealed.
	Open(ctx context.Context, key events.Key, stored runtime.Object) (value runtime.Object, stale bool, err error)
}

// Destroyer is a Sealer that makes the stored forms of an object unreadable
// when it was deleted.
type Destroyer interface {
	Sealer
	// Destroy is called once the deletion is durable. It may be called again.
	Destroy(ctx context.Context, key events.Key, stored runtime.Object) error
}

// Store is the storage of one resource.
type Store struct {
	Options
	resource  schema.GroupResource // after aliases
	prefix    string               // ResourcePrefix without a slash at its end
	versioner storage.APIObjectVersioner
	convert   converter
	feed      *feed
	sizes     sizes
}

var _ storage.Interface = (*Store)(nil)

// New makes a Store.
func New(o Options) (*Store, error) {
	prefix := strings.TrimSuffix(o.ResourcePrefix, "/")
	if !strings.HasPrefix(prefix, "/") {
		return nil, fmt.Errorf("%w: resource prefix %q doesn't begin with a slash and a name", events.ErrInvalid, o.ResourcePrefix)
	}
	if o.Source == "" {
		o.Source = "gateway"
	}
	s := &Store{Options: o, prefix: prefix, resource: canonical(o.Resource)}
	s.convert = newConverter(o)
	s.feed = o.Hub.feed(s.resource)
	return s, nil
}

// canonical gives the one name of a resource that is served in two groups.
func canonical(r schema.GroupResource) schema.GroupResource {
	if r.Group == "events.k8s.io" && r.Resource == "events" {
		r.Group = ""
	}
	return r
}

// Versioner implements storage.Interface.
func (s *Store) Versioner() storage.Versioner { return s.versioner }

// ReadinessCheck implements storage.Interface.
func (s *Store) ReadinessCheck() error { return s.Hub.Err() }

// CompactRevision implements storage.Interface: the position below which lists
// and watches are too old.
func (s *Store) CompactRevision() int64 { return int64(s.Hub.forgotten()) }

// GetCurrentResourceVersion implements storage.Interface.
func (s *Store) GetCurrentResourceVersion(ctx context.Context) (uint64, error) {
	last, err := s.Hub.committed.get(ctx, s.Log)
	if err != nil {
		return 0, apiError(err, "")
	}
	if last == 0 {
		return 0, fmt.Errorf("%w: the log is empty", events.ErrUnavailable)
	}
	return last, nil
}

// RequestWatchProgress implements storage.Interface: every watch of the
// resource that takes bookmarks gets one.
func (s *Store) RequestWatchProgress(context.Context) error {
	s.feed.requestProgress()
	return nil
}

// fresh gives a snapshot that holds everything acknowledged by now.
func (s *Store) fresh(ctx context.Context) (*projections.Snapshot, error) {
	last, err := s.Hub.committed.get(ctx, s.Log)
	if err != nil {
		return nil, apiError(err, "")
	}
	if err := s.Projection.WaitFor(ctx, last); err != nil {
		return nil, apiError(err, "")
	}
	return s.Projection.Snapshot(), nil
}
