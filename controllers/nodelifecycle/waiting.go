package nodelifecycle

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/reckon-project/reckon/events"
)

// waiting remembers which pods are about to be evicted, to tell if it is called
// off. What an earlier leader knew isn't told.
type waiting struct {
	mu    sync.Mutex
	nodes map[events.Key]string // by pod
	pods  map[string]map[events.Key]bool
}

func (w *waiting) begin(pod events.Key, node string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.nodes == nil {
		w.nodes, w.pods = map[events.Key]string{}, map[string]map[events.Key]bool{}
	}
	if w.pods[node] == nil {
		w.pods[node] = map[events.Key]bool{}
	}
	w.nodes[pod], w.pods[node][pod] = node, true
}

// end reports whether the pod was waiting.
func (w *waiting) end(pod events.Key) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	node, ok := w.nodes[pod]
	delete(w.nodes, pod)
	if delete(w.pods[node], pod); len(w.pods[node]) == 0 {
		delete(w.pods, node)
	}
	return ok
}

// on names those on a node.
func (w *waiting) on(node string, add func(events.Key)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, pod := range slices.SortedFunc(maps.Keys(w.pods[node]), func(a, b events.Key) int { return strings.Compare(a.String(), b.String()) }) {
		add(pod)
	}
}
