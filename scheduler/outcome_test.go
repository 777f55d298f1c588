package scheduler

import (
	"context"
	"fmt"
	"iter"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
)

// laggard is a bus that stores the first placement without saying so, and
// hands out events one by one while it is slow.
type laggard struct {
	bus.Bus
	slow  atomic.Bool
	next  chan struct{}
	first atomic.Bool
}

func (l *laggard) Log() bus.Log { return laggingLog{l.Bus.Log(), l} }

type laggingLog struct {
	bus.Log
	of *laggard
}

func (l laggingLog) Start(e bus.Entry) *bus.Pending {
	if e.Event.Type != events.Scheduled || l.of.first.Swap(true) {
		return l.Log.Start(e)
	}
	p, complete := bus.NewPending()
	_, err := l.Append(context.Background(), e)
	complete(0, fmt.Errorf("answer lost by the test (%v): %w", err, events.ErrUnavailable))
	return p
}

func (l laggingLog) Follow(ctx context.Context, from uint64, filters ...string) iter.Seq2[[]*events.Event, error] {
	return func(yield func([]*events.Event, error) bool) {
		for batch, err := range l.Log.Follow(ctx, from, filters...) {
			if err != nil {
				yield(nil, err)
				return
			}
			for i := range batch {
				if l.of.slow.Load() {
					select {
					case <-l.of.next:
					case <-ctx.Done():
					}
				}
				if !yield(batch[i:i+1], nil) {
					return
				}
			}
		}
	}
}

// TestUnknownPlacementKeepsItsResources: the answer to a placement is lost, and
// repeating it fails because it is stored; until that is folded, what it takes
// is not given to another pod.
func TestUnknownPlacementKeepsItsResources(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lag *laggard
		h := newHarness(t, func(b bus.Bus) bus.Bus {
			lag = &laggard{Bus: b, next: make(chan struct{})}
			return lag
		})
		defer h.start("one")()
		h.do([]string{"node", "n1", "cpu=1", "memory=8Gi"})
		synctest.Wait()
		lag.slow.Store(true)
		for _, name := range []string{"p1", "p2"} {
			h.group.Go(func() { h.do([]string{"pod", name, "cpu=1"}) })
			synctest.Wait()
		}
		lag.next <- struct{}{} // p1 is created, placed, and nobody knows
		synctest.Wait()
		<-time.After(time.Second) // placed again: a conflict
		lag.next <- struct{}{}    // p2 is created
		synctest.Wait()
		lag.slow.Store(false)
		lag.next <- struct{}{}
		synctest.Wait()
		if pod := h.pod("p1"); pod.Spec.NodeName != "n1" {
			t.Errorf("p1 is on %q", pod.Spec.NodeName)
		}
		if pod := h.pod("p2"); pod.Spec.NodeName != "" {
			t.Errorf("p2 is on %q, where p1 is and nothing is left", pod.Spec.NodeName)
		}
	})
}
