package controllers

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// Backtest compares what a controller wrote in a part of the past with what it
// would write on the same states now.
type Backtest struct {
	Controller  string       `json:"controller"`
	From        uint64       `json:"from"`
	To          uint64       `json:"to"`
	Decisions   int          `json:"decisions"`   // reconciles on record that wrote something
	Same        int          `json:"same"`        // those that would write the same again
	Outside     int          `json:"outside"`     // those that couldn't be compared: what led to them lies before From
	Differences []Difference `json:"differences"` // in order
	Unanswered  []Difference `json:"unanswered"`  // what would be written on the state at To, and isn't on record
}

// Difference is one reconcile that would write something else.
type Difference struct {
	At       uint64     `json:"at"` // the first event on record; To where there is none
	Key      events.Key `json:"key"`
	Recorded []string   `json:"recorded"`
	Tried    []string   `json:"tried"`
}

const (
	// backtestWindow is how many events back what led to a write may lie. The state
	// before each of them is kept.
	backtestWindow = 20_000
	// backtestGap is how many events of others may lie between two writes of one reconcile.
	backtestGap = 2_000
	// backtestStates is how many states before a write are tried for the one that it was decided on.
	backtestStates = 256
)

// RunBacktest plays the log after position from up to to, and calls the
// controller wherever it wrote something in it: on the state just before its first
// write and, if that gives something else, on the state that it answered. What a
// reconcile reads besides the snapshot, key and time (a Source) isn't on record,
// so a controller with sources is refused (class events.ErrInvalid).
//
// Nothing is written. progress, if there is one, is told of positions reached.
func RunBacktest(ctx context.Context, p *projections.Projection, from, to uint64, c *Controller, progress func(position uint64)) (*Backtest, error) {
	if len(c.sources) > 0 {
		return nil, fmt.Errorf("%w: %s decides by what it learns outside the log, which can't be replayed", events.ErrInvalid, c.name)
	}
	b := &backtest{
		controller: c, actor: c.user(),
		open: map[events.Key]uint64{}, report: Backtest{Controller: c.name, From: from, To: to},
	}
	for step, err := range p.Replay(ctx, from, to) {
		if err != nil {
			return nil, fmt.Errorf("backtest of %s: %w", c.name, err)
		}
		if err := b.take(ctx, step); err != nil {
			return nil, err
		}
		if progress != nil {
			progress(step.Event.Sequence)
		}
	}
	if err := b.end(ctx, p); err != nil {
		return nil, err
	}
	return &b.report, nil
}

// backtest is one under way.
type backtest struct {
	controller *Controller
	actor      string
	window     []projections.Step // the last steps
	groups     []*group           // of writes on record, in order of their first; more may come
	open       map[events.Key]uint64
	report     Backtest
}

// group is the writes on record of one reconcile: they name the same cause.
type group struct {
	steps []projections.Step
	last  uint64
}

func (b *backtest) take(ctx context.Context, step projections.Step) error {
	if len(b.window) == backtestWindow {
		b.window = slices.Delete(b.window, 0, backtestWindow/4)
	}
	b.window = append(b.window, step)
	at := step.Event.Sequence
	for len(b.groups) > 0 && b.groups[0].last+backtestGap < at {
		if err := b.compare(ctx); err != nil {
			return err
		}
	}
	if step.Event.Actor == b.actor && step.Void == nil {
		i := slices.IndexFunc(b.groups, func(g *group) bool { return slices.Equal(g.steps[0].Event.Cause, step.Event.Cause) })
		if i < 0 {
			i = len(b.groups)
			b.groups = append(b.groups, &group{})
		}
		b.groups[i].steps = append(b.groups[i].steps, step)
		b.groups[i].last = at
	}
	for _, k := range b.keys(step.Before, step.Change) {
		b.open[k] = at
	}
	return nil
}

// keys are those that a change concerns.
func (b *backtest) keys(s *projections.Snapshot, c projections.Change) (out []events.Key) {
	if c.Void != nil {
		return nil
	}
	k := KeyOf(c)
	for _, w := range b.controller.watches {
		if w.resource == "*" || w.group == k.Group && w.resource == k.Resource {
			w.mapper(s, c, func(k events.Key) {
				if !slices.Contains(out, k) {
					out = append(out, k)
				}
			})
		}
	}
	return out
}

func (b *backtest) search(sequence uint64) (int, bool) {
	return slices.BinarySearchFunc(b.window, sequence, func(s projections.Step, n uint64) int { return cmp.Compare(s.Event.Sequence, n) })
}

// at gives the step of a sequence, nil if it isn't in the window.
func (b *backtest) at(sequence uint64) *projections.Step {
	if i, ok := b.search(sequence); ok {
		return &b.window[i]
	}
	return nil
}

// compare decides anew what the oldest group on record decided.
func (b *backtest) compare(ctx context.Context) error {
	group := b.groups[0].steps
	b.groups = b.groups[1:]
	first := group[0]
	var candidates []events.Key
	var answered uint64
	for _, cause := range first.Event.Cause {
		step := b.at(cause)
		if step == nil {
			continue
		}
		answered = max(answered, cause)
		for _, k := range b.keys(first.Before, step.Change) {
			if !slices.Contains(candidates, k) {
				candidates = append(candidates, k)
			}
		}
	}
	if len(candidates) == 0 {
		if len(first.Event.Cause) == 0 || first.Event.Cause[0] <= b.report.From || b.at(first.Event.Cause[0]) == nil {
			b.report.Outside++
		}
		return nil // the account is shared: another controller's
	}
	b.report.Decisions++
	var closest *Difference
	for s := range b.states(answered, first) {
		for _, k := range candidates {
			d, rest, err := b.decide(ctx, s, k, group)
			if err != nil {
				return err
			}
			if d == nil {
				b.report.Same++
				b.close(k, answered)
				b.again(rest)
				return nil
			}
			if closest == nil || len(closest.Tried) == 0 {
				closest = d
			}
		}
	}
	b.close(closest.Key, answered)
	b.report.Differences = append(b.report.Differences, *closest)
	return nil
}

// states yields those that the reconcile may have read, the likeliest first:
// it read one at or after what it answers, and before its first write.
func (b *backtest) states(answered uint64, first projections.Step) iter.Seq[*projections.Snapshot] {
	return func(yield func(*projections.Snapshot) bool) {
		if !yield(first.Before) {
			return
		}
		i, _ := b.search(first.Event.Sequence)
		for n := 1; n <= backtestStates && i-n >= 0 && b.window[i-n].Event.Sequence > answered; n++ {
			if !yield(b.window[i-n].Before) {
				return
			}
		}
	}
}

// again takes writes for those of a later reconcile that had the same cause.
func (b *backtest) again(rest []projections.Step) {
	if len(rest) > 0 {
		b.groups = slices.Insert(b.groups, 0, &group{steps: rest, last: rest[len(rest)-1].Event.Sequence})
	}
}

// close notes that what happened to k up to a position is answered.
func (b *backtest) close(k events.Key, answered uint64) {
	if b.open[k] <= answered {
		delete(b.open, k)
	}
}

// decide calls the controller. No difference means that it would write what is
// on record, but for the rest: writes after its own, of a later reconcile.
func (b *backtest) decide(ctx context.Context, s *projections.Snapshot, k events.Key, group []projections.Step) (d *Difference, rest []projections.Step, err error) {
	if ctx.Err() != nil {
		return nil, nil, ctx.Err()
	}
	result, err := b.controller.reconcile(WithCall(ctx, group[0].Event.Time, nil), s, k)
	d = &Difference{At: group[0].Event.Sequence, Key: k}
	if err != nil {
		d.Tried = []string{"an error: " + err.Error()}
	}
	used := make([]bool, len(result.Intents))
	for _, step := range group {
		d.Recorded = append(d.Recorded, describeEvent(step.Event))
		found := false
		for n, i := range result.Intents {
			if found = !used[n] && writes(i, step.Change); found {
				used[n] = true
				break
			}
		}
		if !found {
			rest = append(rest, step)
		}
	}
	for _, i := range result.Intents {
		d.Tried = append(d.Tried, describeIntent(i))
	}
	if err != nil || b.missing(result.Intents, used, s) || len(rest) == len(group) {
		return d, nil, nil
	}
	return nil, rest, nil
}

// missing reports whether an intent that isn't on record should be: it changes
// something, and didn't conflict.
func (b *backtest) missing(intents []Intent, recorded []bool, s *projections.Snapshot) bool {
	for n, i := range intents {
		if !recorded[n] && !needless(i, s) && !b.outrun(i, s.Position()) {
			return true
		}
	}
	return false
}

// outrun reports whether an intent that was decided on the state at a position
// depends on the version of its object, and the next to change that was somebody else.
func (b *backtest) outrun(i Intent, position uint64) bool {
	if i.Verb != VerbAppend && i.Verb != VerbUpdate {
		return false
	}
	n, _ := b.search(position + 1)
	for _, step := range b.window[n:] {
		if step.Void == nil && step.Event.Key == i.Key {
			return step.Event.Actor != b.actor
		}
	}
	return false
}

// end looks at the keys that changed after the last write about them.
func (b *backtest) end(ctx context.Context, p *projections.Projection) error {
	s, err := p.At(ctx, b.report.To)
	if err != nil {
		return err
	}
	for len(b.groups) > 0 {
		if err := b.compare(ctx); err != nil {
			return err
		}
	}
	keys := make([]events.Key, 0, len(b.open))
	for k := range b.open {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b events.Key) int { return strings.Compare(a.String(), b.String()) })
	for _, k := range keys {
		result, err := b.controller.reconcile(WithCall(ctx, s.Time(), nil), s, k)
		d := Difference{At: b.report.To, Key: k}
		if err != nil {
			d.Tried = append(d.Tried, "an error: "+err.Error())
		}
		for _, i := range result.Intents {
			if !needless(i, s) {
				d.Tried = append(d.Tried, describeIntent(i))
			}
		}
		if len(d.Tried) > 0 {
			b.report.Unanswered = append(b.report.Unanswered, d)
		}
	}
	return nil
}
