package podgc

import (
	"maps"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// quarantineTime is how long a node is missing before its pods are given up: one
// that registers again under its name keeps them.
const quarantineTime = 40 * time.Second

// forgetAfter bounds what is remembered of nodes that don't come back.
const forgetAfter = time.Hour

// quarantine remembers since when nodes that pods are bound to are missing, as far
// as this leader knows. It is no state of the cluster: a new leader waits anew.
type quarantine struct {
	mu    sync.Mutex
	since map[string]time.Time
}

// left is how long a pod has to wait for its missing node; 0: not at all, since it
// is over anyway or has waited.
func (q *quarantine) left(s *projections.Snapshot, o *events.Object, now time.Time) time.Duration {
	if !o.Exists() || over(s, o) != &nodeGone {
		return 0
	}
	pod, ok := o.Value.(*corev1.Pod)
	if !ok || pod.DeletionTimestamp != nil {
		return 0 // a pod that is being deleted has nothing to come back for
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	at, ok := q.since[pod.Spec.NodeName]
	if !ok {
		if q.since == nil {
			q.since = map[string]time.Time{}
		}
		maps.DeleteFunc(q.since, func(_ string, at time.Time) bool { return now.Sub(at) > forgetAfter })
		at, q.since[pod.Spec.NodeName] = now, now
	}
	return max(0, at.Add(quarantineTime).Sub(now))
}

// end forgets a node that is there.
func (q *quarantine) end(node string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.since, node)
}
