package projections

import (
	"sync"
	"time"
)

// Snapshots retained are so many at most, and reach so many events back: what
// changed since is in memory for them alone, some kilobytes an event.
const (
	retainedKept  = 256
	retainedReach = 16_384
)

// retained holds snapshots that somebody will come back to: the pages of a
// list are all of one position.
type retained struct {
	mu sync.Mutex
	m  map[uint64]retention
}

type retention struct {
	snapshot *Snapshot
	until    time.Time
}

// Retain keeps a snapshot for Retained for a duration, but at most 256 of them
// (then the one that would expire first goes), and none longer than until
// 16,384 events have followed it.
func (p *Projection) Retain(s *Snapshot, d time.Duration) {
	p.retained.add(s, p.now(), d)
	p.expireLater()
}

// Retained is the retained snapshot of exactly a position, or nil; At makes it
// again if the log reaches back to it.
func (p *Projection) Retained(position uint64) *Snapshot { return p.retained.get(position, p.now()) }

func (r *retained) add(s *Snapshot, now time.Time, d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.m == nil {
		r.m = map[uint64]retention{}
	}
	until := now.Add(d)
	if have, ok := r.m[s.Position()]; ok && have.until.After(until) {
		return
	}
	r.m[s.Position()] = retention{s, until}
	r.drop(now)
	first := s.Position()
	for position, have := range r.m {
		if have.until.Before(r.m[first].until) {
			first = position
		}
	}
	if len(r.m) > retainedKept {
		delete(r.m, first)
	}
}

func (r *retained) get(position uint64, now time.Time) *Snapshot {
	r.mu.Lock()
	defer r.mu.Unlock()
	have, ok := r.m[position]
	if !ok || !have.until.After(now) {
		return nil
	}
	return have.snapshot
}

// expire drops what is due, and what position is too far from, and says how many
// are left.
func (r *retained) expire(now time.Time, position uint64) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.drop(now)
	for at := range r.m {
		if at+retainedReach < position {
			delete(r.m, at)
		}
	}
	return len(r.m)
}

func (r *retained) drop(now time.Time) {
	for position, have := range r.m {
		if !have.until.After(now) {
			delete(r.m, position)
		}
	}
}
