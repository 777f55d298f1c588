package scheduler

import (
	"slices"
	"time"
)

// retryLater makes a pod wait after a failed append. A change of the pod ends
// the wait early.
func (l *loop) retryLater(p *pending) {
	p.failures++
	l.queue.wait(p, l.options.Clock.Now().Add(backoff(p.failures)))
}

// nextDue gives a channel that fires when the first waiting pod is due or parked ones are to be
// looked at in any case, nil if there are none, and what stops it.
func (l *loop) nextDue() (<-chan time.Time, func()) {
	now := l.options.Clock.Now()
	switch {
	case len(l.queue.parked) == 0:
		l.flushAt = time.Time{}
	case l.flushAt.IsZero():
		l.flushAt = now.Add(flushEvery)
	}
	due := l.flushAt
	if l.queue.waiting.Len() > 0 {
		if first := l.queue.waiting.items[0].due; due.IsZero() || first.Before(due) {
			due = first
		}
	}
	if due.IsZero() {
		return nil, func() {}
	}
	t := l.options.Clock.NewTimer(due.Sub(now))
	return t.C(), func() { t.Stop() }
}

// flushEvery is how often parked pods are looked at though nothing happened that can help
// them: a net under the rules of wake.
const flushEvery = 5 * time.Minute

// flush makes the first parked pod of each class active, and those that wait for victims.
func (l *loop) flush() {
	if l.flushAt.IsZero() || l.options.Clock.Now().Before(l.flushAt) {
		return
	}
	l.flushAt = time.Time{}
	for _, of := range l.queue.parked {
		for i, p := range slices.Clone(of.items) {
			if i == 0 || l.cluster.nominated[p.pod.UID] != nil {
				l.queue.activate(p)
			}
		}
	}
}

// freely is how many changes of a pod's reasons in a row are said at once. After
// them it is left alone for 1 s, doubled each time, to 10 s.
const freely = 3

// saidEnough has a pod wait whose reasons change too often to say each of them.
func (l *loop) saidEnough(p *pending) bool {
	now := l.options.Clock.Now()
	if now.Before(p.quiet) {
		l.queue.wait(p, p.quiet)
		return true
	}
	if now.Sub(p.quiet) > time.Minute {
		p.said = 0
	}
	p.quiet = now
	if p.said++; p.said >= freely {
		p.quiet = now.Add(min(time.Second<<min(p.said-freely, 4), 10*time.Second))
	}
	return false
}

func (l *loop) retryDue() {
	now := l.options.Clock.Now()
	for l.queue.waiting.Len() > 0 && !l.queue.waiting.items[0].due.After(now) {
		p := l.queue.waiting.items[0]
		l.again(p)
	}
}
