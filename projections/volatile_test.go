package projections_test

import (
	"context"
	"errors"
	"iter"
	"sync"
	"testing"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/bustest"
	"github.com/reckon-project/reckon/bus/memory"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// lagging is a log whose first follower is held up once, after its first slice.
type lagging struct {
	bus.Log
	meanwhile func()
}

func (l lagging) Follow(ctx context.Context, from uint64, filters ...string) iter.Seq2[[]*events.Event, error] {
	return func(yield func([]*events.Event, error) bool) {
		for batch, err := range l.Log.Follow(ctx, from, filters...) {
			if !yield(batch, err) {
				return
			}
			l.meanwhile()
		}
	}
}

// TestVolatileGoesOnAfterItsPastExpired: what was deleted meanwhile, and whose
// deletion has expired too, is gone; readers of changes are told to look anew.
func TestVolatileGoesOnAfterItsPastExpired(t *testing.T) {
	log := memory.New(time.Now).Volatile()
	put := func(name, kind string) uint64 {
		t.Helper()
		e := bustest.Volatile(name, kind)
		if kind == events.Created {
			e.Data = []byte(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"` + name + `","namespace":"default","uid":"` + name + `"}}`)
		} else {
			e.Data, e.ContentType = nil, events.ContentPatch
		}
		seq, err := log.Append(t.Context(), bus.Entry{Event: e})
		if err != nil {
			t.Fatal(err)
		}
		return seq
	}
	put("deleted", events.Created)
	folded := put("renewed", events.Created)
	var present uint64
	expire := sync.OnceFunc(func() {
		put("deleted", events.Deleted)
		at := put("renewed", events.Created)
		if err := log.Trim(t.Context(), at); err != nil {
			t.Error(err)
		}
		present = put("new", events.Created)
	})
	p := projections.New(lagging{log, expire}, projections.Volatile(), quiet())
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- p.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the projection ended: %v", err)
		}
	}()
	if err := p.WaitFor(ctx, folded+1); err != nil {
		t.Fatal(err)
	}
	last := put("later", events.Created)
	if err := p.WaitFor(ctx, last); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"deleted": false, "renewed": true, "new": true, "later": true} {
		if have := p.Snapshot().Get(bustest.Key(name)).Exists(); have != want {
			t.Errorf("%s is there: %t, want %t", name, have, want)
		}
	}
	for _, err := range p.Changes(ctx, folded) {
		if !errors.Is(err, events.ErrGone) {
			t.Errorf("changes from before: %v", err)
		}
		break
	}
	for changes, err := range p.Changes(ctx, present) {
		if err != nil || len(changes) != 1 || changes[0].Event.Sequence != last {
			t.Errorf("changes after it went on: %v, %v", changes, err)
		}
		break
	}
}
