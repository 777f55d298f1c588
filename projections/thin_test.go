package projections

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// However checkpoints came about, those that stay leave no wide gaps: among the
// newest 30×every positions none wider than every/2 more than there was, further
// back none wider than 8×every more.
func TestThinningLeavesNoWideGaps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const every = 100
		var stored []uint64
		widest := uint64(0)
		for range rapid.IntRange(1, 300).Draw(t, "checkpoints") {
			gap := rapid.Uint64Range(1, 120).Draw(t, "gap")
			widest = max(widest, gap)
			last := uint64(0)
			if len(stored) > 0 {
				last = stored[len(stored)-1]
			}
			stored = append(stored, last+gap)
			// As it happens: thinned each time that one is written.
			drop := superfluous(stored, 1, every, 0)
			stored = slices.DeleteFunc(stored, func(p uint64) bool { return slices.Contains(drop, p) })
		}
		newest, before := stored[len(stored)-1], uint64(0)
		for _, p := range stored {
			limit := widest + every
			if newest-before > dense*every {
				limit = widest + 2*thin*every
			}
			if p-before > limit {
				t.Fatalf("%d to %d, newest %d, widest %d", before, p, newest, widest)
			}
			before = p
		}
		if most := 2*dense + 5 + int(newest/(thin*every)); len(stored) > most {
			t.Fatalf("%d are kept up to %d, want at most %d", len(stored), newest, most)
		}
	})
}
