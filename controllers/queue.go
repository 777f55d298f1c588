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
	noted      []events.Key // whose reconciles addNoted will ask for; by dispatch

	mu        sync.Mutex
	state     map[events.Key]*keyState
	latest    *keyState // that of latestKey: what concerns one key often comes in a row
	latestKey events.Key
}

// keyState is what the runtime remembers of a key between its reconciles.
type keyState struct {
	because    because // what led to the next reconcile
	before     because // what led to the last one, if it asked to be called again later
	quietUntil time.Time
	failure    error // what stopped the last intents
}

func newQueue(c *Controller, clock func() time.Time) *queue {
	limiter := workqueue.NewTypedItemExponentialFailureRateLimiter[events.Key](10*time.Millisecond, time.Minute)
	return &queue{
		controller: c, clock: clock, limiter: limiter,
		keys:  workqueue.NewTypedRateLimitingQueue(limiter),
		state: map[events.Key]*keyState{},
	}
}

func (q *queue) at(k events.Key) *keyState {
	if q.latest != nil && q.latestKey == k {
		return q.latest
	}
	s := q.state[k]
	if s == nil {
		s = &keyState{}
		q.state[k] = s
	}
	q.latest, q.latestKey = s, k
	return s
}

// note remembers that the next reconcile of k answers the event at sequence in a
// trace ("": none); own: it is about k itself. addNoted asks for that reconcile.
func (q *queue) note(k events.Key, sequence uint64, trace string, own bool) {
	q.mu.Lock()
	q.at(k).because.add(sequence, trace, own)
	q.mu.Unlock()
	if n := len(q.noted); n == 0 || q.noted[n-1] != k {
		q.noted = append(q.noted, k)
	}
}

// addNoted asks for a reconcile of each key that was noted, once.
func (q *queue) addNoted() {
	switch len(q.noted) {
	case 0:
		return
	case 1:
		q.keys.Add(q.noted[0])
	default:
		added := make(map[events.Key]bool, len(q.noted))
		for _, k := range q.noted {
			if !added[k] {
				added[k] = true
				q.keys.Add(k)
			}
		}
	}
	if cap(q.noted) > mostAtOnce {
		q.noted = nil // there were many at the beginning
	}
	q.noted = q.noted[:0]
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
	if len(taken.because.events) == 0 {
		taken.because = taken.before
	}
	delete(q.state, k)
	q.latest = nil
	return taken, 0
}

// end notes what the next reconcile of k has to know after one that was called
// because of something: it is called again for the same reason after a failure,
// and after the time that it asked for itself unless there is news until then.
func (q *queue) end(k events.Key, because because, quiet time.Duration, failure error, again again) {
	if quiet <= 0 && failure == nil && again == never {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	s := q.at(k)
	s.failure = failure
	switch again {
	case atOnce:
		s.because = because.and(s.because)
	case later:
		s.before = because
	}
	if quiet > 0 {
		s.quietUntil = q.clock().Add(quiet)
	}
}

// again says when a key comes back by itself.
type again int

const (
	never again = iota
	atOnce
	later
)

func (q *queue) shutDown() { q.keys.ShutDown() }
