package main

import "testing"

func TestGarbageIsBounded(t *testing.T) {
	for _, overhead := range []int64{10 << 20, 100 << 20, 1 << 30} {
		for _, live := range []int64{0, 1, 50 << 20, 100 << 20, 300 << 20, 1 << 30} {
			for _, busy := range []bool{false, true} {
				least, most := int64(calmRoom), max(memoryTarget-overhead-live, live/4, calmRoom)
				if busy {
					least, most = busyRoom+live/4, max(memoryTarget-overhead-live, live/2+live/4, busyRoom+live/4)
				}
				room := memoryLimit(busy, live, overhead) - live - overhead
				if room < least || room > most+4<<20 {
					t.Errorf("busy %t, %d bytes live, %d beside: room for %d bytes of garbage, want %d to %d", busy, live, overhead, room, least, most)
				}
			}
		}
	}
}
