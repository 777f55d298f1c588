package scheduler

import "time"

// retryLater makes a pod wait after a failed append. A change of the pod ends
// the wait early.
func (l *loop) retryLater(p *pending) {
	p.failures++
	l.queue.wait(p, l.options.Clock.Now().Add(backoff(p.failures)))
}

// nextDue gives a channel that fires when the first waiting pod is due, nil if
// none waits, and what stops it.
func (l *loop) nextDue() (<-chan time.Time, func()) {
	if l.queue.waiting.Len() == 0 {
		return nil, func() {}
	}
	t := l.options.Clock.NewTimer(l.queue.waiting.items[0].due.Sub(l.options.Clock.Now()))
	return t.C(), func() { t.Stop() }
}

func (l *loop) retryDue() {
	now := l.options.Clock.Now()
	for l.queue.waiting.Len() > 0 && !l.queue.waiting.items[0].due.After(now) {
		p := l.queue.waiting.items[0]
		l.again(p)
	}
}
