package controllers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
)

// work reconciles keys of one controller until the queue is shut down.
func (t *term) work(ctx context.Context, q *queue, rt http.RoundTripper) {
	for {
		k, shutdown := q.keys.Get()
		if shutdown {
			return
		}
		t.handle(ctx, q, rt, k)
		q.keys.Done(k)
	}
}

// handle is one reconcile and what follows from it.
func (t *term) handle(ctx context.Context, q *queue, rt http.RoundTripper, k events.Key) {
	if t.stopping.Err() != nil {
		return
	}
	state, wait := q.begin(k)
	if wait > 0 {
		q.keys.AddAfter(k, wait)
		return
	}
	began := t.Clock()
	result, err := t.decide(WithCall(ctx, began, state.failure), q.controller, k)
	decided := t.Clock()
	if t.DryRun != nil {
		t.print(q.controller, k, result.Intents)
	} else if err == nil && len(result.Intents) > 0 {
		cause := state.because.under(t.Projection.Snapshot().Get(k))
		env := envelope{
			manager: q.controller.name, cause: cause, traceparent: t.traceOf(ctx, state.because.traceparent, cause),
			epoch: t.epoch, component: t.Component,
		}
		err = t.carryOut(ctx, q.controller, rt, result.Intents, env)
	}
	if t.Observe != nil || t.Metrics != nil {
		o := Observation{q.controller.name, k, decided.Sub(began), t.Clock().Sub(decided), len(result.Intents), err}
		t.Metrics.observe(o)
		if t.Observe != nil {
			t.Observe(o)
		}
	}
	switch {
	case ctx.Err() != nil:
	case overtaken(err):
		// Somebody else was first. What he did is folded: look again, with backoff
		// in case of a cause that looking again doesn't change.
		q.end(k, state.because, 0, state.failure, atOnce)
		q.keys.AddRateLimited(k)
	case err != nil:
		// What it wrote before it failed must not bring it back at once.
		wait := q.limiter.When(k)
		q.end(k, state.because, max(result.Quiet, min(wait, time.Second)), err, atOnce)
		q.keys.AddAfter(k, wait)
		level := slog.LevelWarn
		var refused *APIError
		if errors.As(err, &refused) && refused.HasCause(corev1.NamespaceTerminatingCause) {
			level = slog.LevelDebug // it will be deleted soon
		}
		t.Logger.Log(ctx, level, "reconcile failed", "controller", q.controller.name, "key", k.String(), "error", err)
	default:
		again := never
		if result.RequeueAfter > 0 {
			again = later
		}
		q.end(k, state.because, result.Quiet, nil, again)
		q.keys.Forget(k)
		if again == later {
			q.keys.AddAfter(k, result.RequeueAfter)
		}
	}
}

// traceOf is the trace that a write belongs to: that of what it answers. At the
// beginning of a leadership objects are seen without their events, so it is
// looked up. What answers nothing that is in a trace begins one of its own.
func (t *term) traceOf(ctx context.Context, known string, cause []uint64) string {
	if known != "" {
		return known
	}
	for _, sequence := range slices.Backward(cause) {
		if e, err := t.Bus.Log().Get(ctx, sequence); err == nil && e.Traceparent != "" {
			return e.Traceparent
		}
	}
	return bus.NewTraceparent()
}

// decide calls Reconcile; a panic becomes an error.
func (t *term) decide(ctx context.Context, c *Controller, k events.Key) (r Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			r, err = Result{}, fmt.Errorf("%s panicked at %s: %v\n%s", c.name, k, p, debug.Stack())
		}
	}()
	r, err = c.reconcile(ctx, t.Projection.Snapshot(), k)
	for _, i := range r.Intents {
		if err == nil && i.err != nil {
			err = fmt.Errorf("%s %s: %w", i.Verb, i.Key, i.err)
		}
		if err == nil && i.Verb == VerbAppend && !c.mayWrite(i.Type) {
			err = fmt.Errorf("%w: %s appends %q, which it doesn't declare", events.ErrInvalid, c.name, i.Type)
		}
	}
	return r, err
}

// carryOut starts intents in order, as many at once as there are slots, and
// returns when all that were started are folded. After the first failure it
// starts none, and returns that failure.
func (t *term) carryOut(ctx context.Context, c *Controller, rt http.RoundTripper, intents []Intent, env envelope) error {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var first error
	var last uint64
	var open bool // one of them may be in the log without having told its position
	done := func(seq uint64, err error) {
		mu.Lock()
		defer mu.Unlock()
		last = max(last, seq)
		open = open || unsure(err)
		if err != nil && first == nil {
			first = err
		}
	}
	failed := func() bool {
		mu.Lock()
		defer mu.Unlock()
		return first != nil
	}
	for _, i := range intents {
		if !t.takeSlot(ctx) {
			done(0, ctx.Err())
			break
		}
		if failed() {
			<-t.slots
			break
		}
		wg.Go(func() {
			defer func() { <-t.slots }()
			seq, err := t.carryOutOne(ctx, c, rt, i, env)
			t.Metrics.intent(c.name, i, err)
			done(seq, err)
		})
	}
	wg.Wait()
	if open {
		if _, end, err := t.Bus.Log().Range(ctx); err == nil {
			last = max(last, end)
		}
	}
	if err := t.waitFor(ctx, last); err != nil {
		return err
	}
	return first
}

// takeSlot reports false if ctx ended first.
func (t *term) takeSlot(ctx context.Context) bool {
	select {
	case t.slots <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// unsure reports an error that leaves open whether the intent was carried out.
func unsure(err error) bool {
	if err == nil || errors.Is(err, events.ErrConflict) || errors.Is(err, events.ErrExists) || errors.Is(err, events.ErrVoid) ||
		errors.Is(err, events.ErrNotFound) || errors.Is(err, events.ErrInvalid) {
		return false
	}
	var refused *APIError
	return !errors.As(err, &refused) || refused.Status.Code >= http.StatusInternalServerError
}

func (t *term) carryOutOne(ctx context.Context, c *Controller, rt http.RoundTripper, i Intent, env envelope) (uint64, error) {
	if i.Verb == VerbAppend {
		return t.append(ctx, c, i, env)
	}
	if rt == nil {
		return 0, fmt.Errorf("%w: %s has no intake to %s %s with", events.ErrInvalid, c.name, i.Verb, i.Key)
	}
	a, err := send(ctx, rt, i, env)
	switch {
	case i.Verb == VerbDelete && errors.Is(err, events.ErrNotFound):
		// Gone already; make sure that the snapshot says so, too.
		return 0, t.waitGone(ctx, i.UID)
	case err != nil && (errors.Is(err, events.ErrConflict) || errors.Is(err, events.ErrExists) || errors.Is(err, events.ErrNotFound)):
		return t.lastOn(ctx, i.Key), err
	case err != nil:
		return 0, err
	case a.sequence == 0 && i.Verb == VerbDelete:
		return 0, t.waitGone(ctx, i.UID)
	case volatile(i.Key):
		return 0, nil
	}
	return a.sequence, nil
}

// volatile reports objects that are kept in another stream, with sequences of
// its own.
func volatile(k events.Key) bool {
	return k.Group == "coordination.k8s.io" && k.Resource == "leases" || k.Group == "" && k.Resource == "events" || k.Group == "events.k8s.io"
}

// lastOn is the newest decision about an object, which a refused write missed.
func (t *term) lastOn(ctx context.Context, k events.Key) uint64 {
	if k.Name == "" {
		return 0
	}
	e, err := t.Bus.Log().Last(ctx, k.Subject())
	if err != nil {
		return 0
	}
	return e.Sequence
}

// waitGone returns when the object with the uid is gone or on its way. It gives
// up on one that the API doesn't serve any more.
func (t *term) waitGone(ctx context.Context, uid string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for {
		s := t.Projection.Snapshot()
		if o := s.ByUID(uid); !o.Exists() || o.Meta().GetDeletionTimestamp() != nil {
			return nil
		}
		if err := t.waitFor(ctx, s.Position()+1); err != nil {
			return fmt.Errorf("wait for uid %s to go: %w: %w", uid, events.ErrUnavailable, err)
		}
	}
}

// append appends a decision or a fact of the controller's own.
func (t *term) append(ctx context.Context, c *Controller, i Intent, env envelope) (uint64, error) {
	cause := i.Cause
	if cause == nil {
		cause = env.cause
	}
	entry := bus.Entry{Event: &events.Event{
		Prefix: events.PrefixDecision, Key: i.Key,
		ID: bus.NewID(), Source: t.Component, Type: i.Type, Time: t.Clock(),
		Traceparent: env.traceparent, Actor: c.user(),
		Cause: cause, Reason: i.Reason, Note: i.Note,
		IfVersion: i.IfVersion, Epoch: t.epoch, Component: t.Component,
		ContentType: i.ContentType, Data: i.Data,
	}}
	if i.Type == events.Reported {
		t.asFact(entry.Event, i)
	} else {
		expect := i.Expect
		if expect < t.Projection.Snapshot().First() {
			expect = 0 // the log is trimmed behind it
		}
		entry.Expect = bus.Expect(expect)
	}
	seq, err := t.Bus.Log().Append(ctx, entry)
	if errors.Is(err, events.ErrConflict) {
		return t.lastOn(ctx, i.Key), err
	}
	if err != nil {
		return seq, fmt.Errorf("append %s to %s: %w", i.Type, i.Key, err)
	}
	if err := t.waitFor(ctx, seq); err != nil {
		return seq, err
	}
	return seq, t.voided(i, seq)
}

// asFact makes a report of an event. The leadership is the incarnation that its
// counter has: a later one is above all of an earlier one.
func (t *term) asFact(e *events.Event, i Intent) {
	e.Prefix, e.Reporter, e.UID = events.PrefixFact, t.Reporter, i.UID
	e.Counter = events.Counter{Incarnation: t.epoch, N: t.facts.Add(1)}
}

// voided reports that the fold didn't take the event at seq in: the object
// moved on before it. Its version tells unless something came after it.
func (t *term) voided(i Intent, seq uint64) error {
	o := t.Projection.Snapshot().Get(i.Key)
	if o.Exists() && o.Version < seq && (o.Decision == seq || i.Type == events.Reported) {
		return fmt.Errorf("append %s to %s: %w: the object had changed", i.Type, i.Key, events.ErrVoid)
	}
	return nil
}
