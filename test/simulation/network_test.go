package simulation

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/memory"
	"github.com/reckon-project/reckon/events"
)

// network carries everything between the parts of the simulated cluster, one
// step at a time: its goroutine alone changes what is shared.
type network struct {
	seed    uint64
	memory  *memory.Bus
	began   time.Time
	logger  *slog.Logger
	journal []string
	after   func() // is called after each step, when everything is quiet

	mu        sync.Mutex
	queue     []*step
	seen      map[string]uint64
	news      chan struct{}
	calm      bool // no more faults
	conns     []*conn
	followers []*follower
	feed      feedValues
	leases    map[string]*lease
	ids       map[string]string // of events: as given, as stored
	acked     map[uint64]string // by sequence: the id of an event whose append returned it
}

// step is one thing that happens. Its key says what it is, and never when or
// in which order it was asked for: so two runs agree on the order of steps.
type step struct {
	key string
	nth uint64 // how many of that key came before
	due time.Time
	run func()
}

func newNetwork(seed uint64, logger *slog.Logger) *network {
	return &network{
		seed: seed, memory: memory.New(time.Now), began: time.Now(), logger: logger, after: func() {},
		seen: map[string]uint64{}, news: make(chan struct{}, 1), feed: newFeedValues(), leases: map[string]*lease{},
		ids: map[string]string{}, acked: map[uint64]string{},
	}
}

// chance gives a number that depends on the seed and the words only.
func (n *network) chance(words ...any) uint64 {
	h := fnv.New64a()
	fmt.Fprintln(h, append([]any{n.seed}, words...)...)
	x := h.Sum64()
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// between gives a time from the seed and the words.
func (n *network) between(least, most time.Duration, words ...any) time.Duration {
	return least + time.Duration(n.chance(words...)%uint64(most-least))
}

// latency is how long a step takes: mostly short, sometimes long.
func (n *network) latency(key string, nth uint64) time.Duration {
	d := n.between(20*time.Microsecond, 2*time.Millisecond, "latency", key, nth)
	if n.calm {
		return d
	}
	switch dice := n.chance("slow", key, nth) % 400; {
	case dice == 0:
		d += n.between(time.Second, 4*time.Second, "very slow", key, nth)
	case dice < 20:
		d += n.between(2*time.Millisecond, 200*time.Millisecond, "rather slow", key, nth)
	}
	return d
}

// submit queues a step; n.mu is held. It runs at notBefore at the earliest.
func (n *network) submit(key string, notBefore time.Time, run func(nth uint64)) *step {
	nth := n.seen[key]
	n.seen[key]++
	s := &step{key: key, nth: nth, due: time.Now().Add(n.latency(key, nth)), run: func() { run(nth) }}
	if s.due.Before(notBefore) {
		s.due = notBefore
	}
	n.queue = append(n.queue, s)
	select {
	case n.news <- struct{}{}:
	default:
	}
	return s
}

// later queues a step of the simulation's own, at exactly that time from now.
func (n *network) later(d time.Duration, key string, run func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.submit(key, time.Time{}, func(uint64) { run() })
	s.due = time.Now().Add(d)
}

// take removes the step that is next, if one is due; otherwise it says when
// one will be.
func (n *network) take() (s *step, next time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.feed.flush(n)
	n.flushReports()
	n.elect()
	if len(n.queue) == 0 {
		return nil, time.Time{}
	}
	first := 0
	for i := range n.queue {
		if compare(n.queue[i], n.queue[first]) < 0 {
			first = i
		}
	}
	s = n.queue[first]
	if s.due.After(time.Now()) {
		return nil, s.due
	}
	n.queue = slices.Delete(n.queue, first, first+1)
	return s, time.Time{}
}

func compare(a, b *step) int {
	return cmp.Or(a.due.Compare(b.due), strings.Compare(a.key, b.key), cmp.Compare(a.nth, b.nth))
}

// run takes steps until a time, or until stop says so.
func (n *network) run(until time.Time, stop func() bool) {
	for {
		synctest.Wait()
		n.after()
		if stop() || !time.Now().Before(until) {
			return
		}
		s, next := n.take()
		if s != nil {
			s.run()
			continue
		}
		if next.IsZero() || next.After(until) {
			next = until
		}
		timer := time.NewTimer(time.Until(next))
		select {
		case <-timer.C:
		case <-n.news:
		}
		timer.Stop()
	}
}

// say writes a line for people.
func (n *network) say(format string, args ...any) {
	n.journal = append(n.journal, fmt.Sprintf("%10.6f  ", time.Since(n.began).Seconds())+fmt.Sprintf(format, args...))
}

// stored is the event as it is stored: with an id that is the same in each run.
func (n *network) stored(e *events.Event) *events.Event {
	c := *e
	id, ok := n.ids[e.ID]
	if !ok {
		id = fmt.Sprintf("event-%d", len(n.ids)+1)
		n.ids[e.ID] = id
	}
	c.ID = id
	return &c
}

// append stores events and tells the followers; only steps call it.
func (n *network) append(batch []bus.Entry) ([]uint64, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	entries := make([]bus.Entry, len(batch))
	for i, e := range batch {
		entries[i] = e
		entries[i].Event = n.stored(e.Event)
	}
	seqs, err := n.memory.Log().AppendBatch(background, entries)
	if err != nil {
		return nil, err
	}
	for i, seq := range seqs {
		n.say("%5d  %s", seq, line(entries[i].Event))
	}
	for _, f := range n.followers {
		n.deliver(f)
	}
	return seqs, nil
}
