package scheduler

import (
	"context"
	"sync"

	"github.com/reckon-project/reckon/bus"
	corev1 "k8s.io/api/core/v1"
)

// maxInFlight bounds the appends whose outcome isn't known yet.
const maxInFlight = 4096

// outcomes waits for appends in the order in which they were started, and keeps
// those that failed until the loop takes them: the loop never waits for one.
type outcomes struct {
	started chan attempt
	failed  chan struct{} // holds a token while failures is not empty

	mu       sync.Mutex
	failures []failure
}

type attempt struct {
	pod     *pending
	number  uint64
	pending *bus.Pending
}

type failure struct {
	pod     *pending
	attempt uint64
	err     error
	writes  []claimWrite // that weren't done, of a pod that holds a node; nil: it was an append
	gang    []attempt    // of a gang's pods; nil: it was not that
	victim  *corev1.Pod  // that was to go for the pod; nil: it was not that

	extension *extension // what extenders answered; nil: it was not that
}

func newOutcomes() *outcomes {
	return &outcomes{started: make(chan attempt, maxInFlight), failed: make(chan struct{}, 1)}
}

// collect runs until ctx ends.
func (o *outcomes) collect(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case a := <-o.started:
			if _, err := a.pending.Wait(ctx); err != nil {
				o.fail(failure{pod: a.pod, attempt: a.number, err: err})
			}
		}
	}
}

func (o *outcomes) fail(f failure) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.failures = append(o.failures, f)
	select {
	case o.failed <- struct{}{}:
	default:
	}
}

func (o *outcomes) take() []failure {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := o.failures
	o.failures = nil
	return out
}
