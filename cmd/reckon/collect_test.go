package main

import "testing"

func TestGarbageIsBounded(t *testing.T) {
	for _, live := range []uint64{0, 1, 50 << 20, 100 << 20, 300 << 20, 1 << 30, 1 << 40} {
		if got := garbagePercent(false, live); got != calmGarbage {
			t.Errorf("calm with %d live bytes: %d %%", live, got)
		}
		more := uint64(garbagePercent(true, live)-calmGarbage) * live / 100
		if more > busyGarbage || live > 0 && live < 100<<20 && more < live {
			t.Errorf("busy with %d live bytes: %d bytes more", live, more)
		}
	}
}
