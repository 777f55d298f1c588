package main

import "testing"

func TestGarbageIsBounded(t *testing.T) {
	for _, overhead := range []int64{10 << 20, 100 << 20, 1 << 30} {
		for _, live := range []int64{0, 1, 50 << 20, 100 << 20, 300 << 20, 1 << 30} {
			for _, rate := range []int64{-1, 0, 100 << 20, 10 << 30} { // -1: it isn't busy
				least, most := int64(calmRoom), max(memoryTarget-overhead-live, live/4, calmRoom)
				if rate >= 0 {
					wanted := min(max(rate, leastRoom), max(live/2, busyRoom)) + live/4
					least, most = leastRoom+live/4, max(memoryTarget-overhead-live, wanted)
				}
				room := memoryLimit(rate >= 0, live, overhead, rate) - live - overhead
				if room < least || room > most+4<<20 {
					t.Errorf("%d bytes a second, %d live, %d beside: room for %d bytes of garbage, want %d to %d", rate, live, overhead, room, least, most)
				}
			}
		}
	}
}
