package simulation

import (
	"context"
	"fmt"
	"hash/fnv"
	"iter"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
)

type connLog struct{ *conn }

// fate is what happens to an append.
type fate int

const (
	stored      fate = iota
	lost             // it fails before its effect
	unanswered       // it has its effect, and fails
	storedTwice      // facts only: the reporter's connection sent it again
)

func (c *conn) fateOf(key string, nth uint64, fact bool) fate {
	if c.calm {
		return stored
	}
	dice := c.chance("fate", key, nth) % 100
	switch {
	case fact: // which others fail with it must not matter: they fail in outages
		if dice < 10 {
			return storedTwice
		}
	case dice < 3:
		return lost
	case dice < 6:
		return unanswered
	}
	return stored
}

func keyOf(c *conn, e *events.Event) string {
	h := fnv.New32a()
	h.Write(e.Data)
	return fmt.Sprintf("append %s %s %s %08x", c.name, e.Subject(), e.Type, h.Sum32())
}

func (l *connLog) Append(ctx context.Context, e bus.Entry) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	seq, err := l.start([]bus.Entry{e}, false).Wait(ctx)
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("append: %w: the outcome wasn't learnt: %w", events.ErrUnavailable, err)
	}
	return seq, err
}

func (l *connLog) Start(e bus.Entry) *bus.Pending {
	if e.Event.Prefix == events.PrefixFact {
		return l.report(e)
	}
	return l.start([]bus.Entry{e}, true)
}

func (l *connLog) AppendBatch(ctx context.Context, batch []bus.Entry) ([]uint64, error) {
	if len(batch) == 0 {
		return nil, ctx.Err()
	}
	last, err := l.start(batch, false).Wait(ctx)
	if err != nil {
		return nil, err
	}
	seqs := make([]uint64, len(batch))
	for i := range seqs {
		seqs[i] = last - uint64(len(batch)-1-i)
	}
	return seqs, nil
}

// start queues an append; its outcome is the last sequence. Those in order take
// their time one after the other: so it doesn't matter whether somebody starts
// several at once, or each when the one before is done.
func (l *connLog) start(batch []bus.Entry, inOrder bool) *bus.Pending {
	p, complete := bus.NewPending()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dead || l.cut {
		complete(0, noConnection(batch[0].Event))
		return p
	}
	l.queueAppend(batch, inOrder, complete)
	return p
}

func noConnection(e *events.Event) error {
	return fmt.Errorf("append to %s: %w: no connection", e.Subject(), events.ErrUnavailable)
}

// queueAppend queues the step; mu is held.
func (l *connLog) queueAppend(batch []bus.Entry, inOrder bool, complete func(uint64, error)) {
	key := keyOf(l.conn, batch[0].Event)
	fact := batch[0].Event.Prefix == events.PrefixFact
	s := l.submit(key, time.Time{}, func(nth uint64) {
		f := l.fateOf(key, nth, fact)
		if f == lost {
			l.say("       append of %s by %s is lost", line(batch[0].Event), l.name)
			complete(0, fmt.Errorf("append to %s: %w: not stored", batch[0].Event.Subject(), events.ErrUnavailable))
			return
		}
		seqs, err := l.append(batch)
		switch {
		case err != nil:
			complete(0, err)
		case f == unanswered:
			l.say("       %s never learns about %d", l.name, seqs[len(seqs)-1])
			complete(0, fmt.Errorf("append to %s: %w: the outcome wasn't learnt", batch[0].Event.Subject(), events.ErrUnavailable))
		default:
			for i, seq := range seqs {
				l.acked[seq] = l.ids[batch[i].Event.ID]
			}
			complete(seqs[len(seqs)-1], nil)
		}
		if f == storedTwice {
			l.later(l.between(time.Millisecond, 5*time.Second, "again", key, nth), "again "+key, func() {
				if _, err := l.append(batch); err != nil {
					panic(err) // a fact has no expectation
				}
			})
		}
	})
	if inOrder {
		if wait := time.Until(l.lastStart); wait > 0 {
			s.due = s.due.Add(wait)
		}
		l.lastStart = s.due
	}
}

func (l *connLog) Read(ctx context.Context, from uint64, filters ...string) iter.Seq2[*events.Event, error] {
	return l.memory.Log().Read(ctx, from, filters...)
}

func (l *connLog) Range(ctx context.Context) (uint64, uint64, error) {
	return l.memory.Log().Range(ctx)
}

func (l *connLog) Get(ctx context.Context, sequence uint64) (*events.Event, error) {
	return l.memory.Log().Get(ctx, sequence)
}

func (l *connLog) Last(ctx context.Context, subject string) (*events.Event, error) {
	return l.memory.Log().Last(ctx, subject)
}

func (l *connLog) Trim(ctx context.Context, before uint64) error {
	return l.memory.Log().Trim(ctx, before)
}

// follower is a Follow under way.
type follower struct {
	conn    *conn
	filters []string
	next    uint64
	due     bool // a delivery is queued, or wasn't taken yet
	events  chan []*events.Event
}

// Follow delivers in order, in slices that the seed decides.
func (l *connLog) Follow(ctx context.Context, from uint64, filters ...string) iter.Seq2[[]*events.Event, error] {
	return func(yield func([]*events.Event, error) bool) {
		f := &follower{conn: l.conn, filters: filters, next: max(from, 1), events: make(chan []*events.Event, 1)}
		l.mu.Lock()
		l.followers = append(l.followers, f)
		l.deliver(f)
		l.mu.Unlock()
		defer l.leave(f)
		for {
			select {
			case batch := <-f.events:
				if !yield(batch, nil) {
					return
				}
				l.mu.Lock()
				f.due = false
				l.deliver(f)
				l.mu.Unlock()
			case <-ctx.Done():
				yield(nil, ctx.Err())
				return
			}
		}
	}
}

func (n *network) leave(f *follower) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i, o := range n.followers {
		if o == f {
			n.followers = append(n.followers[:i:i], n.followers[i+1:]...)
			return
		}
	}
}

// deliver queues the follower's next slice if there is one; n.mu is held.
func (n *network) deliver(f *follower) {
	_, last, err := n.memory.Log().Range(background)
	if err != nil || f.due || f.conn.dead || last < f.next {
		return
	}
	f.due = true
	key := fmt.Sprintf("deliver %s %d", f.conn.name, f.next)
	n.submit(key, time.Time{}, func(nth uint64) {
		most := 1
		if dice := n.chance("slice", key, nth); dice%4 == 0 {
			most += int(dice >> 8 % 8)
		}
		var batch []*events.Event
		for e, err := range n.memory.Log().Read(background, f.next, f.filters...) {
			if err != nil || len(batch) == most {
				break
			}
			batch = append(batch, e)
		}
		if len(batch) == 0 {
			return
		}
		f.next = batch[len(batch)-1].Sequence + 1
		f.events <- batch
	})
}
