package controllers

import (
	"sync"
	"time"

	"k8s.io/client-go/util/workqueue"

	"github.com/reckon-project/reckon/events"
)

// queue holds the keys of one controller that wait for a reconcile, and what
// brought them there.
type queue struct {
	controller *Controller
	clock      func() time.Time
	limiter    workqueue.TypedRateLimiter[events.Key]
	keys       workqueue.TypedRateLimitingInterface[events.Key]

	mu    sync.Mutex
	state map[events.Key]*keyState
}

// keyState is what the runtime remembers of a key between its reconciles.
type keyState struct {
	cause       []uint64 // the newest events that led to the next reconcile
	traceparent string
	quietUntil  time.Time
	failure     error // what stopped the last intents
}

// maxCause bounds how many events a write names as its cause.
const maxCause = 8

func newQueue(c *Controller, clock func() time.Time) *queue {
	limiter := workqueue.NewTypedItemExponentialFailureRateLimiter[events.Key](10*time.Millisecond, time.Minute)
	return &queue{
		controller: c, clock: clock, limiter: limiter,
		keys:  workqueue.NewTypedRateLimitingQueue(limiter),
		state: map[events.Key]*keyState{},
	}
}

func (q *queue) at(k events.Key) *keyState {
	s := q.state[k]
	if s == nil {
		s = &keyState{}
		q.state[k] = s
	}
	return s
}

// enqueue asks for a reconcile of k because of the event at sequence (0: none)
// in a trace ("": none).
func (q *queue) enqueue(k events.Key, sequence uint64, trace string) {
	if sequence != 0 {
		q.mu.Lock()
		s := q.at(k)
		if len(s.cause) == maxCause {
			copy(s.cause, s.cause[1:])
			s.cause = s.cause[:maxCause-1]
		}
		s.cause = append(s.cause, sequence)
		if trace != "" {
			s.traceparent = trace
		}
		q.mu.Unlock()
	}
	q.keys.Add(k)
}

// begin takes what is known about k; wait > 0 means that k asked not to be
// looked at yet.
func (q *queue) begin(k events.Key) (taken keyState, wait time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := q.state[k]
	if s == nil {
		return keyState{}, 0
	}
	if wait = s.quietUntil.Sub(q.clock()); wait > 0 && !s.quietUntil.IsZero() {
		return keyState{}, wait
	}
	taken = *s
	delete(q.state, k)
	return taken, 0
}

// end notes what the next reconcile of k has to know.
func (q *queue) end(k events.Key, quiet time.Duration, failure error) {
	if quiet <= 0 && failure == nil {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	s := q.at(k)
	s.failure = failure
	if quiet > 0 {
		s.quietUntil = q.clock().Add(quiet)
	}
}

func (q *queue) shutDown() { q.keys.ShutDown() }
