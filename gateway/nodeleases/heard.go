package nodeleases

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/kubernetes/pkg/apis/coordination"
	"k8s.io/utils/ptr"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

const (
	leaseSeconds = 40               // as kubelet's
	sweepEvery   = 10 * time.Second // how soon a watch learns that a node was removed
)

// Options say what a Heard listens to.
type Options struct {
	Bus      bus.Bus
	Log      *projections.Projection // has the nodes
	Volatile *projections.Projection // has the Leases that were written
	Now      func() time.Time        // default time.Now
}

// Heard remembers when each node was last heard.
type Heard struct {
	Options

	mu       sync.Mutex
	last     map[string]time.Time
	watchers map[*watcher]bool
}

// New makes a Heard that hears nothing until it runs.
func New(o Options) *Heard {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Heard{Options: o, last: map[string]time.Time{}, watchers: map[*watcher]bool{}}
}

// Run listens until ctx ends.
func (h *Heard) Run(ctx context.Context) error {
	err := h.Bus.Subscribe(ctx, "beat.*", func(m bus.Message) {
		if node, err := events.DecodeToken(strings.TrimPrefix(m.Subject, "beat.")); err == nil {
			h.hear(node)
		}
	})
	if err != nil {
		return fmt.Errorf("listen to heartbeats: %w", err)
	}
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			h.sweep()
		}
	}
}

func (h *Heard) hear(node string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last[node] = h.Now()
	h.tell(node)
}

// sweep forgets nodes that are gone.
func (h *Heard) sweep() {
	s := h.Log.Snapshot()
	h.mu.Lock()
	defer h.mu.Unlock()
	for node := range h.last {
		if s.Get(nodeKey(node)) == nil {
			delete(h.last, node)
			h.tell(node)
		}
	}
}

// tell lets the watches look at a node's lease again; h.mu is held.
func (h *Heard) tell(node string) {
	for w := range h.watchers {
		w.news[node] = true
		select {
		case w.woken <- struct{}{}:
		default: // it will see this as well
		}
	}
}

func nodeKey(name string) events.Key { return events.Key{Resource: "nodes", Name: name} }

// nodes yields the names of the nodes heard, in order.
func (h *Heard) nodes() iter.Seq[string] {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Values(slices.Sorted(maps.Keys(h.last)))
}

// lease builds a node's Lease; nil if there is none to tell.
func (h *Heard) lease(name string) *coordination.Lease {
	h.mu.Lock()
	heard, ok := h.last[name]
	h.mu.Unlock()
	if !ok {
		return nil
	}
	node, ok := projections.Get[*corev1.Node](h.Log.Snapshot(), nodeKey(name))
	if !ok || h.Volatile.Snapshot().Get(events.Key{Group: coordination.GroupName, Resource: "leases", Namespace: corev1.NamespaceNodeLease, Name: name}) != nil {
		return nil
	}
	return &coordination.Lease{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: corev1.NamespaceNodeLease, Name: name, CreationTimestamp: node.CreationTimestamp,
			UID:             types.UID(uuid.NewSHA1(uuid.NameSpaceOID, []byte("lease of node "+node.UID)).String()),
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: name, UID: node.UID}},
		},
		Spec: coordination.LeaseSpec{
			HolderIdentity: ptr.To(name), LeaseDurationSeconds: ptr.To[int32](leaseSeconds), RenewTime: &metav1.MicroTime{Time: heard},
		},
	}
}
