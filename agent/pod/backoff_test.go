package pod

import (
	"fmt"
	"testing"
	"time"
)

func TestBackoffDoublesUpToFiveMinutesAndForgives(t *testing.T) {
	now := time.Unix(1000, 0)
	var b backoff
	var waits []time.Duration
	for range 8 {
		waits = append(waits, b.wait(now, now.Add(time.Second), now.Add(time.Second)))
		b.next(now, now.Add(time.Second))
	}
	if got := fmt.Sprint(waits); got != "[0s 10s 20s 40s 1m20s 2m40s 5m0s 5m0s]" {
		t.Errorf("the waits are %s", got)
	}
	if got := b.wait(now, now.Add(11*time.Minute), now.Add(11*time.Minute)); got != 0 {
		t.Errorf("a container that ran eleven minutes waits %s", got)
	}
}
