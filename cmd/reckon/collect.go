package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

const (
	calmGarbage = 100       // percent of the live heap that may be garbage while little happens
	busyGarbage = 256 << 20 // bytes that it may be more while much happens
	busyCycle   = 5 * time.Second
	restAfter   = 2 * busyCycle // without a cycle the garbage of a busy time goes
)

// collectLessWhenBusy has the garbage collector run less often while the process
// is busy: collecting is a sixth of what creating a pod costs. While it is not, it
// keeps little more memory than it needs. Call it when what starting leaves behind is
// done. A GOGC that the user set holds. The collector itself tells it of the end of
// each cycle: it costs nothing in between.
func collectLessWhenBusy() {
	if os.Getenv("GOGC") != "" {
		return
	}
	p := &pacer{percent: calmGarbage, last: time.Now(), live: []metrics.Sample{{Name: "/gc/heap/live:bytes"}}}
	p.calm = time.AfterFunc(restAfter, p.rest)
	p.arm()
}

type pacer struct {
	mu      sync.Mutex
	calm    *time.Timer
	percent int
	last    time.Time // when the last cycle ended
	short   int       // how many cycles in succession came soon after the one before
	live    []metrics.Sample
}

// arm has the next cycle call p: it finds the object that it was armed with unused.
func (p *pacer) arm() {
	runtime.AddCleanup(&struct{ _ [16]byte }{}, func(p *pacer) { p.cycle(); p.arm() }, p)
}

func (p *pacer) cycle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	p.short++
	if now.Sub(p.last) >= busyCycle {
		p.short = 0
	}
	p.last = now
	metrics.Read(p.live)
	p.set(garbagePercent(p.short > 1, p.live[0].Value.Uint64()))
	p.calm.Reset(restAfter)
}

// rest ends a busy time: what it left behind goes back to the system. Without it
// that would begin two minutes later.
func (p *pacer) rest() {
	p.mu.Lock()
	busy := p.percent != calmGarbage
	p.short = 0
	p.set(calmGarbage)
	p.mu.Unlock()
	if busy {
		debug.FreeOSMemory()
	}
}

func (p *pacer) set(percent int) {
	if percent != p.percent {
		p.percent = percent
		debug.SetGCPercent(percent)
	}
}

// garbagePercent is GOGC for a heap with so many live bytes, in steps of 50.
func garbagePercent(busy bool, live uint64) int {
	if !busy || live == 0 {
		return calmGarbage
	}
	return calmGarbage + int(min(busyGarbage*100/live, 400))/50*50
}
