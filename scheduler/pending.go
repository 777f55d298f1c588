package scheduler

import (
	"cmp"
	"strings"
	"time"

	"github.com/reckon-project/reckon/events"
	corev1 "k8s.io/api/core/v1"
	corev1helpers "k8s.io/component-helpers/scheduling/corev1"
)

// pending is a pod that has no node yet, or whose placement isn't folded yet.
//
//	         ┌── no node fits ──► parked ──┐ its class fits, or other reasons
//	active ──┤                             ├──► active
//	         │              ┌── failed ────┘ (after a while: waiting)
//	         └── placed ────┴── folded: gone from the queue
type pending struct {
	object  *events.Object
	pod     *corev1.Pod
	class   *class
	trace   string // of the newest event about it
	arrival uint64
	state   state
	index   int // in its heap

	attempt   uint64     // number of the last append started
	expected  uint64     // what that expects
	failures  int        // of appends
	due       time.Time  // while waiting
	reasons   string     // of the last unschedulable appended
	gang      *gang      // nil: none
	said      int        // changes of reasons in a row
	quiet     time.Time  // until then no more of them are said
	kept      string     // the node that it named as nominated
	extension *extension // what extenders just answered; nil: nothing

	claims   []events.Key    // nil: none
	holds    bool            // a node, while its claims are bound
	ready    bool            // it holds it for its gang's others
	coming   bool            // it waits for a claim that isn't made yet
	came     time.Time       // since when
	selected map[string]bool // claims that a node was seen selected for
}

type state uint8

const (
	active    state = iota // in the heap of those to be scheduled
	parked                 // no node fits its class
	waiting                // an append failed; it is tried again when due
	gathering              // its gang's other pods didn't come in time
	placed                 // an append is under way or stored
)

// schedules reports whether a pod waits for this scheduler: one of its profiles has the
// pod's scheduler name.
func (c *cluster) schedules(pod *corev1.Pod) bool {
	return pod.Spec.NodeName == "" &&
		c.profiles[schedulerName(pod)] != nil &&
		len(pod.Spec.SchedulingGates) == 0 &&
		pod.DeletionTimestamp == nil &&
		pod.Status.Phase != corev1.PodSucceeded && pod.Status.Phase != corev1.PodFailed
}

// before orders pods: higher priority first, then the older.
func before(a, b *pending) int {
	return cmp.Or(
		cmp.Compare(corev1helpers.PodPriority(b.pod), corev1helpers.PodPriority(a.pod)),
		a.pod.CreationTimestamp.Compare(b.pod.CreationTimestamp.Time),
		cmp.Compare(a.arrival, b.arrival),
		strings.Compare(a.object.Key.Name, b.object.Key.Name),
		strings.Compare(a.object.Key.Namespace, b.object.Key.Namespace),
	)
}

func dueBefore(a, b *pending) int { return cmp.Or(a.due.Compare(b.due), before(a, b)) }

// heap is a binary heap of pending pods that knows where each is.
type heap struct {
	order func(a, b *pending) int
	items []*pending
}

// The methods of container/heap.
func (h *heap) Len() int           { return len(h.items) }
func (h *heap) Less(i, j int) bool { return h.order(h.items[i], h.items[j]) < 0 }
func (h *heap) Swap(i, j int) {
	h.items[i], h.items[j] = h.items[j], h.items[i]
	h.items[i].index, h.items[j].index = i, j
}
func (h *heap) Push(x any) {
	p := x.(*pending)
	p.index = len(h.items)
	h.items = append(h.items, p)
}
func (h *heap) Pop() any {
	last := len(h.items) - 1
	p := h.items[last]
	h.items[last] = nil
	h.items = h.items[:last]
	return p
}

// backoff is how long a pod waits after failed appends: from 100 ms,
// doubled each time, to 10 s.
func backoff(failures int) time.Duration {
	return min(100*time.Millisecond<<min(failures-1, 7), 10*time.Second)
}
