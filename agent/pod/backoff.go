package pod

import "time"

const (
	firstDelay   = 10 * time.Second
	longestDelay = 5 * time.Minute
	forgiven     = 10 * time.Minute // a container that ran that long starts with a clean slate
)

// backoff delays restarts: the first comes at once, the next after 10 s, 20 s,
// up to five minutes.
type backoff struct {
	delay time.Duration
}

// next is called when a container is restarted that ran from started to
// finished. It gives the delay that the one after this must wait.
func (b *backoff) next(started, finished time.Time) {
	switch {
	case finished.Sub(started) >= forgiven && !started.IsZero():
		b.delay = 0
		fallthrough
	case b.delay == 0:
		b.delay = firstDelay
	default:
		b.delay = min(2*b.delay, longestDelay)
	}
}

// wait says how long a container that finished must still wait.
func (b *backoff) wait(started, finished, now time.Time) time.Duration {
	if b.delay == 0 || (!started.IsZero() && finished.Sub(started) >= forgiven) {
		return 0
	}
	return max(finished.Add(b.delay).Sub(now), 0)
}
