package news

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tidwall/btree"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// Options bounds what a Book tells.
type Options struct {
	Log, Volatile *projections.Projection
	Keep          time.Duration // of told Events, default 1 h
	Most          int           // told Events, default 10,000
	Now           func() time.Time
}

// keptChanges is how many changes are kept for watches that are slow.
const keptChanges = 1 << 11

// Book holds all Events in memory.
type Book struct {
	Options
	pasts   pasts
	earlier earlier

	mu       sync.Mutex
	version  uint64
	items    btree.Map[string, *entry] // by namespace/name
	told     []*entry                  // oldest first; may hold entries that are gone
	same     map[sameness]*entry       // told entries
	changes  []change
	floor    uint64 // every change after this version is in changes
	seen     [2]uint64
	advanced chan struct{}
	err      error
}

// The streams a Book reads.
const (
	fromLog = iota
	fromVolatile
)

// entry is one Event at one version. It is immutable.
type entry struct {
	key     string // namespace/name
	version uint64
	event   *corev1.Event // as VOLATILE has it; nil for one that is told
	story   *story
}

type change struct {
	version  uint64
	old, new *entry
}

// New makes a Book that is empty until it runs.
func New(o Options) *Book {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Keep == 0 {
		o.Keep = time.Hour
	}
	if o.Most == 0 {
		o.Most = 10_000
	}
	b := &Book{Options: o, same: map[sameness]*entry{}, advanced: make(chan struct{})}
	b.version = uint64(o.Now().UnixMicro()) // above all that an earlier book gave
	b.floor = b.version
	b.earlier.end = b.Log.Snapshot().Position()
	return b
}

// Run fills the book until ctx ends or folding stops.
func (b *Book) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return b.runVolatile(ctx) })
	g.Go(func() error { return b.runLog(ctx) })
	err := g.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err = fmt.Errorf("Events stopped: %w", err)
	b.wake()
	return err
}

func (b *Book) runVolatile(ctx context.Context) error {
	for {
		s := b.Volatile.Snapshot()
		b.mirror(s)
		err := b.followVolatile(ctx, s.Position())
		if !errors.Is(err, events.ErrGone) {
			return err
		}
	}
}

// mirror makes the book's copies of VOLATILE's Events those of s.
func (b *Book) mirror(s *projections.Snapshot) {
	b.mu.Lock()
	defer b.mu.Unlock()
	have := b.items.Copy()
	for o := range s.List("", "events", "") {
		have.Delete(keyOf(o.Key))
		b.put(o)
	}
	have.Scan(func(_ string, e *entry) bool {
		if e.event != nil {
			b.replace(e, nil)
		}
		return true
	})
	b.reached(fromVolatile, s.Position())
}

func (b *Book) followVolatile(ctx context.Context, from uint64) error {
	for changes, err := range b.Volatile.Changes(ctx, from, projections.BufferOnly()) {
		if err != nil {
			return err
		}
		b.mu.Lock()
		for i := range changes {
			c := &changes[i]
			switch {
			case c.Event.Key.Resource != "events" || c.Event.Key.Group != "" || c.Void != nil:
			case c.New != nil:
				b.put(c.New)
			case c.Old != nil:
				if e, ok := b.items.Get(keyOf(c.Event.Key)); ok && e.event != nil {
					b.replace(e, nil)
				}
			}
		}
		b.reached(fromVolatile, changes[len(changes)-1].Event.Sequence)
		b.mu.Unlock()
	}
	return ctx.Err()
}

// runLog tells what happens from now on; what happened before is told once
// somebody asks ([Book.recall]).
func (b *Book) runLog(ctx context.Context) error {
	from := b.earlier.end
	for {
		err := b.followLog(ctx, from)
		if !errors.Is(err, events.ErrGone) {
			return err
		}
		from = b.Log.Snapshot().Position() // the past before it was trimmed
	}
}

func (b *Book) followLog(ctx context.Context, from uint64) error {
	for changes, err := range b.Log.Changes(ctx, from) {
		if err != nil {
			return err
		}
		b.mu.Lock()
		oldest := b.Now().Add(-b.Keep)
		for i := range changes {
			if changes[i].Event.Time.After(oldest) {
				b.tell(&changes[i])
			}
		}
		b.prune()
		b.reached(fromLog, changes[len(changes)-1].Event.Sequence)
		b.mu.Unlock()
	}
	return ctx.Err()
}

// put takes in an Event of VOLATILE; b.mu is held.
func (b *Book) put(o *events.Object) {
	event, ok := o.Value.(*corev1.Event)
	if !ok {
		return
	}
	old, _ := b.items.Get(keyOf(o.Key))
	if old != nil && old.event == event {
		return
	}
	b.replace(old, &entry{key: keyOf(o.Key), event: event})
}

// tell takes in an event of the log; b.mu is held.
func (b *Book) tell(c *projections.Change) {
	for _, s := range newStories(c) {
		if s.claimOfSet(b.Log.Snapshot()) {
			b.add(s)
		}
	}
}

// add takes in one story; b.mu is held.
func (b *Book) add(s *story) {
	id := s.sameness()
	if old := b.same[id]; old != nil {
		again := *old.story
		again.last, again.count = s.first, again.count+1
		next := &entry{key: old.key, story: &again}
		b.replace(old, next)
		b.same[id] = next
		return
	}
	e := &entry{key: s.namespace() + "/" + s.name(), story: s}
	b.replace(nil, e)
	b.same[id] = e
	b.told = append(b.told, e)
}

// prune drops told Events that are too old or too many; b.mu is held.
func (b *Book) prune() {
	oldest := b.Now().Add(-b.Keep)
	drop := 0
	var again []*entry
	for _, e := range b.told {
		if len(b.told)-drop <= b.Most && e.story.last.Time.After(oldest) {
			break
		}
		drop++
		now, ok := b.items.Get(e.key)
		switch {
		case !ok || now.story == nil:
		case len(b.told)-drop < b.Most && now.story.last.Time.After(oldest):
			again = append(again, now) // it was counted up since
		default:
			b.forget(now)
		}
	}
	if drop > 0 {
		clear(b.told[:drop])
		b.told = append(b.told[drop:], again...)
	}
}

// forget removes a told entry; b.mu is held.
func (b *Book) forget(e *entry) {
	b.replace(e, nil)
	delete(b.same, e.story.sameness())
}

// replace puts new in the place of old and records the change; b.mu is held.
func (b *Book) replace(old, new *entry) {
	b.version++
	if new != nil {
		new.version = b.version
		b.items.Set(new.key, new)
	} else {
		b.items.Delete(old.key)
	}
	b.changes = append(b.changes, change{b.version, old, new})
	if len(b.changes) > 2*keptChanges {
		drop := len(b.changes) - keptChanges
		b.floor = b.changes[drop-1].version
		b.changes = append(make([]change, 0, 2*keptChanges+1), b.changes[drop:]...)
	}
}

// reached records that a stream is taken in up to position; b.mu is held.
func (b *Book) reached(stream int, position uint64) {
	b.seen[stream] = max(b.seen[stream], position)
	b.wake()
}

func (b *Book) wake() {
	close(b.advanced)
	b.advanced = make(chan struct{})
}

// await returns when the book holds all of a stream up to position.
func (b *Book) await(ctx context.Context, stream int, position uint64) error {
	for {
		b.mu.Lock()
		seen, advanced, err := b.seen[stream], b.advanced, b.err
		b.mu.Unlock()
		switch {
		case seen >= position:
			return nil
		case err != nil:
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-advanced:
		}
	}
}

func keyOf(k events.Key) string { return k.Namespace + "/" + k.Name }
