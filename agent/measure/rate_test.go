package measure

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestRate: whatever the moments of asking, a rate is that of a steady counter,
// and over five seconds at least once there are two points so far apart.
func TestRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := time.Unix(1000, 0)
		each := rapid.Uint64Range(0, 1000).Draw(t, "nanoseconds each ms")
		known := rapid.Bool().Draw(t, "known start")
		var r rate
		if known {
			r.older = &point{start, 0}
		}
		at, first := start, time.Time{}
		for i := range rapid.IntRange(1, 20).Draw(t, "asked") {
			ms := rapid.Uint64Range(1, 20_000).Draw(t, "after ms")
			at = at.Add(time.Duration(ms) * time.Millisecond)
			got := r.add(point{at, each * uint64(at.Sub(start).Milliseconds())})
			if i == 0 {
				first = at
			}
			since := first
			if known {
				since = start
			}
			if got == nil {
				if known || at.Sub(since) >= shortest {
					t.Fatalf("no rate after %s", at.Sub(since))
				}
				continue
			}
			if want := each * 1000; got.NanoCores+1 < want || got.NanoCores > want+1 {
				t.Fatalf("the rate is %d, want %d", got.NanoCores, want)
			}
			if at.Sub(since) >= shortest && got.Window < shortest {
				t.Fatalf("the rate of %s is over %s only", at.Sub(since), got.Window)
			}
		}
	})
}

func TestRateOfOneThatBeganAnew(t *testing.T) {
	var r rate
	at := time.Unix(1000, 0)
	r.add(point{at, 100})
	if got := r.add(point{at.Add(10 * time.Second), 50}); got != nil {
		t.Errorf("a counter that went back has the rate %+v", got)
	}
	if got := r.add(point{at.Add(20 * time.Second), 1050}); got == nil || got.NanoCores != 100 {
		t.Errorf("and later %+v", got)
	}
}
