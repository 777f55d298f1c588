package report

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
)

const (
	answerWithin = 10 * time.Second // an append that takes longer counts as not done
	retryEvery   = time.Second
	inFlight     = 256
)

// Reporter appends one node's facts.
type Reporter struct {
	node        string
	log         bus.Log
	clock       clock.WithTicker
	logger      *slog.Logger
	incarnation uint64
	spool       *spool
	gather      time.Duration

	mu      sync.Mutex
	n       uint64
	waiting []*events.Event
	told    map[*events.Event]func(uint64) // of those not in the log yet
	wake    chan struct{}
	back    func() // called after an outage
}

// New makes the reporter of a node. dir keeps the queue ("": in memory only).
// back is called when the bus answers again after an outage; it may be nil.
func New(node string, log bus.Log, dir string, incarnation uint64, c clock.WithTicker, logger *slog.Logger, back func()) (*Reporter, error) {
	s, err := openSpool(dir)
	if err != nil {
		return nil, err
	}
	return &Reporter{node: node, log: log, clock: c, logger: logger, incarnation: incarnation, spool: s,
		wake: make(chan struct{}, 1), back: back, told: map[*events.Event]func(uint64){}}, nil
}

// Gather has each report wait that long for others, so that those of one moment
// are appended together. It is called before Run.
func (r *Reporter) Gather(d time.Duration) { r.gather = d }

// Report queues a fact. It doesn't wait.
func (r *Reporter) Report(f Fact) {
	r.mu.Lock()
	r.n++
	e := &events.Event{
		Prefix: events.PrefixFact, Reporter: r.node, Key: f.Key, ID: bus.NewID(), Source: "agent/" + r.node,
		Type: events.Reported, Time: r.clock.Now(), Actor: "system:node:" + r.node, Cause: f.Cause,
		Reason: f.Reason, Note: f.Note, UID: f.UID, Counter: events.Counter{Incarnation: r.incarnation, N: r.n},
		ContentType: events.ContentPatch, Data: f.Patch, Traceparent: f.Traceparent,
	}
	r.waiting = append(r.waiting, e)
	if f.Told != nil {
		r.told[e] = f.Told
	}
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Run appends what is reported until ctx is done. What is still waiting then
// is tried once more, briefly, or goes to disk.
func (r *Reporter) Run(ctx context.Context) error {
	for {
		if err := r.drain(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			return errors.Join(r.send(last, r.take(inFlight)), r.spool.add(r.take(-1)...))
		case <-r.wake:
		}
	}
}

// drain appends until nothing waits: the queue on disk first.
func (r *Reporter) drain(ctx context.Context) error {
	outage := false
	for ctx.Err() == nil {
		batch := r.spool.head(inFlight)
		if len(batch) == 0 {
			if !r.anything() {
				break
			}
			if r.gather > 0 {
				r.pause(ctx, r.gather)
			}
			batch = r.take(inFlight)
			if err := r.send(ctx, batch); err != nil {
				return err
			}
			outage = outage || len(r.spool.head(1)) > 0
			continue
		}
		if !r.appendAll(ctx, batch) {
			outage = true
			if err := r.spool.add(r.take(-1)...); err != nil {
				return err
			}
			r.pause(ctx, retryEvery)
			continue
		}
		if err := r.spool.drop(len(batch)); err != nil {
			return err
		}
	}
	if outage && r.back != nil && ctx.Err() == nil {
		r.back()
	}
	return nil
}

// send appends a batch that is in memory; what can't be appended goes to disk.
func (r *Reporter) send(ctx context.Context, batch []*events.Event) error {
	if len(batch) == 0 || r.appendAll(ctx, batch) {
		return nil
	}
	r.logger.Warn("the bus doesn't answer: reports are kept on disk until it does", "node", r.node)
	return r.spool.add(batch...)
}

// appendAll appends a batch in order. Sending one of them twice is harmless:
// the counter makes the second void.
func (r *Reporter) appendAll(ctx context.Context, batch []*events.Event) bool {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	pending := make([]*bus.Pending, len(batch))
	for i, e := range batch {
		pending[i] = r.log.Start(bus.Entry{Event: e})
	}
	ok := true
	for i, p := range pending {
		sequence, err := p.Wait(ctx)
		switch {
		case err == nil:
			if told := r.forget(batch[i]); told != nil {
				told(sequence)
			}
		case errors.Is(err, events.ErrInvalid) || errors.Is(err, events.ErrConflict):
			r.forget(batch[i])
			r.logger.Error("a report can't be appended", "node", r.node, "about", batch[i].Key.String(), "err", err)
		default:
			ok = false
		}
	}
	return ok
}

// forget gives what is to be called for an event, and forgets it.
func (r *Reporter) forget(e *events.Event) func(uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	told := r.told[e]
	delete(r.told, e)
	return told
}

func (r *Reporter) take(most int) []*events.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := len(r.waiting)
	if most >= 0 {
		n = min(n, most)
	}
	batch := r.waiting[:n:n]
	r.waiting = r.waiting[n:]
	return batch
}

func (r *Reporter) anything() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.waiting) > 0
}

func (r *Reporter) pause(ctx context.Context, d time.Duration) {
	timer := r.clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C():
	}
}
