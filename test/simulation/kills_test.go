package simulation

import (
	"flag"
	"runtime"
	"runtime/debug"
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

var flagKills = flag.Int("kills", 200, "how often TestLeaderKills kills who leads the controllers")

const killsPerRun = 100

// TestLeaderKills kills the process that leads the controllers at random moments,
// while users work: no object is missing in the end and none is there twice.
func TestLeaderKills(t *testing.T) {
	quiet()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	for run := range uint64(*flagKills / killsPerRun) {
		t.Run(strconv.FormatUint(run, 10), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(10_000+run, 4*time.Minute)
				kills := 0
				w.planKills(&kills)
				w.live()
				w.stop()
				w.writeJournal(t)
				if w.failure != nil {
					t.Errorf("%v\n\nwhat happened last:\n%s", w.failure, w.tail(*flagTail))
				}
				if kills < killsPerRun {
					t.Errorf("there were %d kills only", kills)
				}
			})
		})
	}
}

// planKills queues the kills. Whoever stands by leads as soon as the server has
// noticed the broken connection.
func (w *world) planKills(kills *int) {
	for at, i := 5*time.Second, 0; at < w.chaos; i++ {
		w.later(at, "kill", func() {
			for _, r := range w.replicas {
				w.mu.Lock()
				l := w.leases["controllers"]
				leads := l != nil && l.holder == r.name
				w.mu.Unlock()
				if leads && !r.down {
					*kills++
					r.restart(w.between(10*time.Millisecond, time.Second, "killed for", i), true)
					return
				}
			}
		})
		at += w.between(20*time.Millisecond, 4*time.Second, "kill after", i)
	}
}
