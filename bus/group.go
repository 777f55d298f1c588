package bus

import (
	"fmt"

	"github.com/reckon-project/reckon/events"
)

// group is the group commit of one stream on one connection. A group takes in
// what was sent before it opened, so that its one sync serves all of that; what
// is sent meanwhile is for the next.
//
//	open ──all sent before are answered──► syncing ──durable──► open, if something waits
type group struct {
	sent       uint64 // number of the newest append sent
	unanswered int    // appends sent without an answer

	stored  []stored
	upTo    uint64 // number of the last append that belongs to it; 0: not open
	open    int    // appends up to upTo without an answer
	syncing bool
}

type stored struct {
	f   *inflight
	seq uint64
}

// group gives the stream's group; a.mu is held.
func (a *acks) group(stream string) *group {
	g := a.groups[stream]
	if g == nil {
		g = &group{}
		a.groups[stream] = g
	}
	return g
}

// begin opens g for all that was sent so far; a.mu is held.
func (g *group) begin() { g.upTo, g.open = g.sent, g.unanswered }

// answered notes that f waits no more; a.mu is held.
func (a *acks) answered(f *inflight) {
	g := a.group(f.log.stream)
	g.unanswered--
	if f.number <= g.upTo {
		g.open--
	}
}

// stored completes f when it is durable.
func (a *acks) stored(f *inflight, seq uint64) {
	stream := f.log.stream
	a.mu.Lock()
	if seq > a.seen[stream] {
		a.seen[stream] = seq
	}
	g := a.group(stream)
	g.stored = append(g.stored, stored{f, seq})
	if g.upTo == 0 {
		g.begin()
	}
	a.mu.Unlock()
	a.commit(stream)
}

// commit makes what the stream's group holds durable once the group is whole.
func (a *acks) commit(stream string) {
	a.mu.Lock()
	g := a.group(stream)
	if g.syncing || len(g.stored) == 0 || g.open > 0 {
		a.mu.Unlock()
		return
	}
	done := g.stored
	g.stored, g.upTo, g.open, g.syncing = nil, 0, 0, true
	a.mu.Unlock()
	last := uint64(0)
	for _, s := range done {
		last = max(last, s.seq)
	}
	a.c.durability.Await(stream, last, func(err error) {
		for _, s := range done {
			if err == nil {
				a.finish(s.f, s.seq, nil)
				continue
			}
			a.finish(s.f, s.seq, fmt.Errorf("append to %s: %w: stored as %d, not known to be durable: %w", s.f.subject, events.ErrUnavailable, s.seq, err))
		}
		a.mu.Lock()
		g.syncing = false
		if len(g.stored) > 0 {
			g.begin()
		}
		a.mu.Unlock()
		a.commit(stream)
	})
}

// regroup lets groups go on that waited for an answer that wasn't a success.
func (a *acks) regroup() {
	a.commit(StreamLog)
	a.commit(StreamVolatile)
}
