package projections

import "sort"

// recentEvery is how many events lie between two recent snapshots.
const recentEvery = 1024

// recent holds a snapshot every 1,024 events over what the buffer of changes
// reaches back to: any position in it is one of them and a few events that are
// in memory. They hold little that the changes don't hold: of each table's
// trees the nodes that differ.
type recent struct{ kept []*Snapshot }

// add keeps s if it is due, and drops what is before from.
func (r *recent) add(s *Snapshot, from uint64) {
	if n := len(r.kept); n == 0 || s.Position() >= r.kept[n-1].Position()+recentEvery {
		r.kept = append(r.kept, s)
	}
	drop := 0
	for drop < len(r.kept) && r.kept[drop].Position() < from {
		drop++
	}
	if drop > 0 {
		r.kept = append([]*Snapshot(nil), r.kept[drop:]...)
	}
}

// nearest is the newest kept snapshot that is not after position, or nil.
func (r *recent) nearest(position uint64) *Snapshot {
	i := sort.Search(len(r.kept), func(i int) bool { return r.kept[i].Position() > position })
	if i == 0 {
		return nil
	}
	return r.kept[i-1]
}

// recall makes the state at a recent position from what is in memory; nil: it
// isn't recent.
func (p *Projection) recall(position uint64) *Snapshot {
	p.mu.Lock()
	base, changes := p.recent.nearest(position), p.changes
	p.mu.Unlock()
	if base == nil || base.Position() == position {
		return base
	}
	s := base.s.past(p.Snapshot())
	for _, c := range changes[after(changes, base.Position()):after(changes, position)] {
		s.apply(c.Event)
	}
	if s.position != position {
		return nil // no event has that position
	}
	return &Snapshot{s.freeze()}
}
