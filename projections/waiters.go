package projections

import "container/heap"

// waiters are those who wait for a position, lowest first, so that a
// publication wakes only whom it concerns.
type waiters []*waiter

type waiter struct {
	position uint64
	done     chan struct{}
	at       int // in the heap; -1 once woken or removed
}

func (ws *waiters) add(position uint64) *waiter {
	w := &waiter{position: position, done: make(chan struct{})}
	heap.Push(ws, w)
	return w
}

func (ws *waiters) remove(w *waiter) {
	if w.at >= 0 {
		heap.Remove(ws, w.at)
	}
}

// wake wakes those who wait for position or an earlier one.
func (ws *waiters) wake(position uint64) {
	for len(*ws) > 0 && (*ws)[0].position <= position {
		close(heap.Pop(ws).(*waiter).done)
	}
}

func (ws *waiters) wakeAll() {
	for len(*ws) > 0 {
		close(heap.Pop(ws).(*waiter).done)
	}
}

// The following make waiters a heap.Interface.

func (ws waiters) Len() int           { return len(ws) }
func (ws waiters) Less(i, j int) bool { return ws[i].position < ws[j].position }
func (ws waiters) Swap(i, j int) {
	ws[i], ws[j] = ws[j], ws[i]
	ws[i].at, ws[j].at = i, j
}

func (ws *waiters) Push(x any) {
	w := x.(*waiter)
	w.at = len(*ws)
	*ws = append(*ws, w)
}

func (ws *waiters) Pop() any {
	last := len(*ws) - 1
	w := (*ws)[last]
	(*ws)[last] = nil
	*ws = (*ws)[:last]
	w.at = -1
	return w
}
