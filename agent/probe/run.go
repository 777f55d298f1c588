package probe

import (
	"context"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"
)

// Result is what a probe found, after its threshold.
type Result struct {
	OK     bool
	Output string // of the last try, for people
}

// Check tries once. An error is a failure with the error's text.
type Check func(ctx context.Context) error

// Run tries at the spec's pace until ctx is done, and calls changed when as
// many tries as the threshold asks agree on something new; failed is called on
// each failed try. after is when the container started: the first try comes
// the spec's initial delay after it.
func Run(ctx context.Context, spec *v1.Probe, check Check, c clock.WithTicker, after time.Time, changed func(Result), failed func(error)) {
	delay := time.Duration(spec.InitialDelaySeconds)*time.Second - c.Since(after)
	if delay > 0 && !wait(ctx, c, delay) {
		return
	}
	period := time.Duration(max(spec.PeriodSeconds, 1)) * time.Second
	timeout := time.Duration(max(spec.TimeoutSeconds, 1)) * time.Second
	ticker := c.NewTicker(period)
	defer ticker.Stop()
	count, last, known := int32(0), false, false
	var state bool
	for {
		tctx, cancel := context.WithTimeout(ctx, timeout)
		err := check(tctx)
		cancel()
		if ctx.Err() != nil {
			return
		}
		ok := err == nil
		if ok == last {
			count++
		} else {
			last, count = ok, 1
		}
		if !ok {
			failed(err)
		}
		threshold := max(spec.FailureThreshold, 1)
		if ok {
			threshold = max(spec.SuccessThreshold, 1)
		}
		if count >= threshold && (!known || state != ok) {
			known, state = true, ok
			r := Result{OK: ok}
			if err != nil {
				r.Output = err.Error()
			}
			changed(r)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C():
		}
	}
}

func wait(ctx context.Context, c clock.WithTicker, d time.Duration) bool {
	timer := c.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C():
		return true
	}
}
