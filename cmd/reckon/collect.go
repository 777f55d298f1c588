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
	calmGarbage = 100 // percent of the live heap that may be garbage while little happens
	busyGarbage = 400 // and while much does, if there is room

	memoryTarget = 256 << 20 // bytes of the runtime's memory below which there is room
	calmRoom     = 32 << 20  // bytes of garbage that there may be in any case
	busyRoom     = 160 << 20
	leastRoom    = 48 << 20 // of a busy process that doesn't allocate much a second

	busyCycle = 5 * time.Second
	restAfter = 2 * busyCycle // without a cycle the garbage goes
	worthIt   = 24 << 20      // bytes of it, to collect for
)

// collectLessWhenBusy has the garbage collector run less often while the process
// is busy: collecting is a sixth of what creating a pod costs. But it keeps the
// process's memory near a target: beyond it the garbage is what a second makes,
// at most half of what is live (a quarter while little happens), and what is free
// goes back to the system. Call it when what starting leaves behind is done. A GOGC or GOMEMLIMIT
// that the user set holds. The collector itself tells it of the end of each
// cycle: it costs nothing in between.
func collectLessWhenBusy() {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	p := &pacer{last: time.Now(), used: newUsage()}
	p.used.read()
	p.made = p.used.made()
	p.calm = time.AfterFunc(restAfter, p.rest)
	p.cycle()
	p.arm()
}

// collectSeldom is for a command that ends soon and holds little: it has the
// collector run when there are as many bytes of garbage.
func collectSeldom(garbage int64) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(garbage)
}

type pacer struct {
	mu    sync.Mutex
	calm  *time.Timer
	busy  bool
	limit int64
	last  time.Time // when the last cycle ended
	short int       // how many cycles in succession came soon after the one before
	used  usage

	made  int64    // bytes allocated until the last cycle
	rates [2]int64 // bytes allocated a second before the last cycles
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
	p.used.read()
	made := p.used.made()
	p.rates = [2]int64{p.rates[1], int64(float64(made-p.made) / max(now.Sub(p.last).Seconds(), 1e-3))}
	p.last, p.made = now, made
	p.pace(p.short > 1)
	p.calm.Reset(restAfter)
}

// rest ends a busy time: what it left behind goes back to the system. Without it
// that would begin two minutes later.
func (p *pacer) rest() {
	p.mu.Lock()
	p.short = 0
	p.used.read()
	p.pace(false)
	garbage := p.used.garbage()
	p.mu.Unlock()
	if garbage > worthIt {
		debug.FreeOSMemory()
	}
}

func (p *pacer) pace(busy bool) {
	if limit := memoryLimit(busy, p.used.live(), p.used.overhead(), max(p.rates[0], p.rates[1])); limit != p.limit {
		p.limit = limit
		debug.SetMemoryLimit(limit)
	}
	if busy != p.busy {
		p.busy = busy
		percent := calmGarbage
		if busy {
			percent = busyGarbage
		}
		debug.SetGCPercent(percent)
	}
}

// memoryLimit is the limit of the runtime's memory with so many bytes live, and
// so many that aren't the heap's or can't be given back. It always leaves room
// for garbage: the collector would run all the time otherwise. rate is how many
// bytes a second makes.
func memoryLimit(busy bool, live, overhead, rate int64) int64 {
	room := max(live/4, calmRoom)
	if busy {
		room = min(max(rate, leastRoom), max(live/2, busyRoom)) + live/4 // while it sweeps, holes count as objects still
	}
	const step = 4 << 20
	return (max(memoryTarget, overhead+live+room) + step - 1) / step * step
}

// usage is what the runtime's memory is used for.
type usage []metrics.Sample

func newUsage() usage {
	return usage{
		{Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/gc/heap/allocs:bytes"},
	}
}

func (u usage) read()             { metrics.Read(u) }
func (u usage) value(i int) int64 { return int64(u[i].Value.Uint64()) }
func (u usage) live() int64       { return u.value(0) }
func (u usage) made() int64       { return u.value(5) }
func (u usage) overhead() int64   { return u.value(1) - u.value(2) - u.value(3) - u.value(4) }
func (u usage) garbage() int64    { return u.value(3) + u.value(4) - u.live() }
