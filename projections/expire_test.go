package projections

import (
	"testing"
	"testing/synctest"
	"time"
)

// Where nothing happens any more past states go all the same, and nothing is left running.
func TestPastStatesGoWhereNothingHappens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(nil)
		kept := func() int {
			p.past.mu.Lock()
			defer p.past.mu.Unlock()
			return len(p.past.kept)
		}
		p.keepPast(&Snapshot{newState().freeze()})
		p.Retain(p.Snapshot(), 5*time.Minute)
		time.Sleep(pastFor - time.Second)
		synctest.Wait()
		if kept() != 1 {
			t.Errorf("%d states are kept, want 1", kept())
		}
		time.Sleep(2 * expireEvery)
		synctest.Wait()
		if kept() != 0 {
			t.Errorf("%d states are kept after %s", kept(), pastFor+expireEvery)
		}
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		p.expirer.mu.Lock()
		defer p.expirer.mu.Unlock()
		if p.expirer.timer != nil || len(p.retained.m) > 0 {
			t.Error("the retained snapshot is still kept")
		}
	})
}

// In a busy cluster the pages of lists don't hold the states of minutes.
func TestRetainedStatesDontPileUp(t *testing.T) {
	p := New(nil)
	life := podLife(6_000)
	var at []uint64
	for from := 0; from < len(life); from += 2048 {
		p.fold(life[from:min(from+2048, len(life))])
		p.Retain(p.Snapshot(), time.Hour)
		at = append(at, p.Snapshot().Position())
	}
	end := at[len(at)-1]
	for _, position := range at {
		if kept, near := p.Retained(position) != nil, position+retainedReach >= end; kept != near {
			t.Errorf("the state at %d of %d is kept: %t", position, end, kept)
		}
	}
}
