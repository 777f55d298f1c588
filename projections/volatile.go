package projections

import (
	"context"
	"fmt"
)

// startAgain makes the present values of a log of last values the state, when
// folding fell so far behind that what it would have folded next has expired: it
// can't know what was deleted meanwhile. Readers of changes get events.ErrGone
// and read a snapshot again; the position never goes back.
func (p *Projection) startAgain(ctx context.Context) error {
	_, last, err := p.log.Range(ctx)
	if err != nil {
		return fmt.Errorf("fold the present values: %w", err)
	}
	fresh := newState()
	for e, err := range p.log.Read(ctx, 1) {
		if err != nil {
			return fmt.Errorf("fold the present values: %w", err)
		}
		fresh.apply(e)
	}
	fresh.position = max(fresh.position, last)
	p.logger.Warn("what was to be folded next has expired: folding goes on from the present values", "folded", p.state.position, "present", fresh.position)
	p.state, p.forgetAt = fresh, 0
	snapshot := &Snapshot{fresh.freeze()}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.changes, p.from = nil, snapshot.Position()
	p.current.Store(snapshot)
	close(p.advanced)
	p.advanced = make(chan struct{})
	p.waiters.wake(snapshot.Position())
	return nil
}
