package projections

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
)

// Projection folds one log.
type Projection struct {
	log         bus.Log
	logger      *slog.Logger
	now         func() time.Time
	buffer      int
	lastValues  bool
	checkpoints Checkpoints
	signer      ed25519.PrivateKey // nil: checkpoints aren't signed
	damaged     []uint64           // checkpoints that Restore found unreadable
	current     atomic.Pointer[Snapshot]
	past        past
	retained    retained
	expirer     expirer
	tidying     sync.Mutex // held while checkpoints are removed, or relied on to stay

	state    *state // the folding goroutine's own, as the next
	forgetAt uint64 // the position from which to forget tombstones, VOLATILE only

	mu       sync.Mutex
	changes  []Change // the last ones, in order; bounded by 5/4 of buffer
	from     uint64   // every change after this position is in changes
	recent   recent
	advanced chan struct{} // closed and replaced at each publication
	waiters  waiters
	err      error // why folding stopped
}

// forgetEvery is how many events of VOLATILE lie between looks at its beginning.
const forgetEvery = 4096

// Option changes how a projection works.
type Option func(*Projection)

// Buffer sets how many changes are kept in memory for readers of Changes
// (default 8,192); what is older is folded again from the log.
func Buffer(n int) Option { return func(p *Projection) { p.buffer = n } }

// Logger sets where a projection tells what a person should know (default slog.Default).
func Logger(l *slog.Logger) Option { return func(p *Projection) { p.logger = l } }

// Clock sets the time that retained snapshots expire by (default time.Now).
func Clock(now func() time.Time) Option { return func(p *Projection) { p.now = now } }

// Volatile is for a log that keeps each subject's last event only, and drops
// events by age: it is folded from whatever it begins with. Such a projection
// has no checkpoints and no past.
func Volatile() Option { return func(p *Projection) { p.lastValues = true } }

// WithCheckpoints lets Run write checkpoints, and At begin from them.
func WithCheckpoints(c Checkpoints) Option { return func(p *Projection) { p.checkpoints = c } }

// New makes a projection of log that is empty until Run folds it.
func New(log bus.Log, options ...Option) *Projection {
	p := &Projection{
		log: log, logger: slog.Default(), buffer: 1 << 13,
		now:   time.Now, //nolint:forbidigo // only for how long earlier states stay in memory
		state: newState(), advanced: make(chan struct{}), past: newPast(),
	}
	for _, o := range options {
		o(p)
	}
	s := &Snapshot{p.state.freeze()}
	p.recent.add(s, 0)
	p.current.Store(s)
	return p
}

// Run folds the log until ctx ends or an event can't be read (an envelope of a
// newer version, events missing below the first one kept). It is called once,
// after Restore if there are checkpoints, and returns when what it started has
// ended and, if it may, the last checkpoint is written.
func (p *Projection) Run(ctx context.Context) error {
	written := p.startCheckpoints(ctx)
	err := p.follow(ctx)
	p.stop(err)
	<-written
	return err
}

func (p *Projection) follow(ctx context.Context) error {
	if p.state.position == 0 && !p.lastValues {
		first, _, err := p.log.Range(ctx)
		if err != nil {
			return fmt.Errorf("fold from the beginning: %w", err)
		}
		if first > 1 {
			return fmt.Errorf("fold from the beginning: the log begins at %d and no checkpoint was restored: %w", first, events.ErrGone)
		}
	}
	for {
		err := p.foldOn(ctx)
		if !p.lastValues || !errors.Is(err, events.ErrGone) {
			return err
		}
		if err := p.startAgain(ctx); err != nil {
			return err
		}
	}
}

// foldOn folds what follows the position.
func (p *Projection) foldOn(ctx context.Context) error {
	for batch, err := range p.log.Follow(ctx, p.state.position+1) {
		if err != nil {
			return fmt.Errorf("fold after %d: %w", p.state.position, err)
		}
		if p.lastValues {
			if err := p.forget(ctx); err != nil {
				return err
			}
		}
		p.fold(batch)
	}
	return ctx.Err()
}

// forget drops, once in a while, the tombstones of a log that drops by age.
func (p *Projection) forget(ctx context.Context) error {
	if p.state.position < p.forgetAt {
		return nil
	}
	first, _, err := p.log.Range(ctx)
	if err != nil {
		return fmt.Errorf("fold after %d: %w", p.state.position, err)
	}
	p.state.first, p.forgetAt = first, p.state.position+forgetEvery
	p.state.dropTombs()
	return nil
}

func (p *Projection) stop(err error) {
	if err == nil {
		err = errors.New("the log ended")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = err
	close(p.advanced)
	p.advanced = make(chan struct{})
	p.waiters.wakeAll()
}

// fold applies a batch and publishes the state after it.
func (p *Projection) fold(batch []*events.Event) {
	changes := make([]Change, len(batch))
	for i, e := range batch {
		changes[i] = p.state.apply(e)
	}
	snapshot := &Snapshot{p.state.freeze()}
	now := p.now()
	p.past.expire(now)
	p.retained.expire(now, snapshot.Position())
	p.mu.Lock()
	defer p.mu.Unlock()
	p.changes = append(p.changes, changes...)
	if len(p.changes) > p.buffer+p.buffer/4 {
		drop := len(p.changes) - p.buffer
		p.from = p.changes[drop-1].Event.Sequence
		p.changes = append(make([]Change, 0, p.buffer+p.buffer/4+512), p.changes[drop:]...)
	}
	if !p.lastValues {
		p.recent.add(snapshot, p.from)
	}
	p.current.Store(snapshot)
	close(p.advanced)
	p.advanced = make(chan struct{})
	p.waiters.wake(snapshot.Position())
}

// begin makes s the state that folding goes on from; Run isn't called yet.
func (p *Projection) begin(s *Snapshot) {
	p.state = s.s.thaw()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.changes, p.from = nil, s.Position()
	p.recent.add(s, p.from)
	p.current.Store(s)
}

// Snapshot is the newest state.
func (p *Projection) Snapshot() *Snapshot { return p.current.Load() }

// WaitFor returns when Snapshot is at position or later. It fails with ctx's
// error, or with the reason why folding stopped.
func (p *Projection) WaitFor(ctx context.Context, position uint64) error {
	if p.current.Load().Position() >= position {
		return nil
	}
	p.mu.Lock()
	at, err := p.current.Load().Position(), p.err
	if at >= position || err != nil {
		p.mu.Unlock()
		if at >= position {
			return nil
		}
		return fmt.Errorf("wait for %d: folding stopped at %d: %w", position, at, err)
	}
	w := p.waiters.add(position)
	p.mu.Unlock()
	select {
	case <-w.done:
		if p.current.Load().Position() >= position {
			return nil
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		return fmt.Errorf("wait for %d: folding stopped at %d: %w", position, p.current.Load().Position(), p.err)
	case <-ctx.Done():
		p.mu.Lock()
		defer p.mu.Unlock()
		p.waiters.remove(w)
		return fmt.Errorf("wait for %d, folded up to %d: %w", position, p.current.Load().Position(), ctx.Err())
	}
}
