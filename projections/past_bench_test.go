package projections

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/memory"
)

// BenchmarkAt makes states of the past of a log of 1,000,000 events, folded
// while it grew with checkpoints as in production: of the last 16,000 events,
// and anywhere. It reports what changes and recent snapshots take in memory.
func BenchmarkAt(b *testing.B) {
	const size = 1_000_000
	ctx, cancel := context.WithCancel(context.Background())
	m := memory.New(time.Now)
	p := New(m.Log(), WithCheckpoints(Checkpoints{Blobs: m.Blobs()}))
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	for i, e := range rollout(size / 5)[:size] {
		if _, err := m.Log().Append(ctx, bus.Entry{Event: e}); err != nil {
			b.Fatal(err)
		}
		if i%4096 == 0 || i == size-1 { // the log doesn't run away from the fold
			if err := p.WaitFor(ctx, uint64(i)+1); err != nil {
				b.Fatal(err)
			}
		}
	}
	for _, period := range []struct {
		name string
		last int
	}{{"recent", 16_000}, {"anywhere", size}} {
		b.Run(period.name, func(b *testing.B) {
			random := rand.New(rand.NewPCG(1, 2))
			since, slowest := cpu(b), time.Duration(0)
			for range b.N {
				at, begun := uint64(size-random.IntN(period.last)), time.Now()
				if s, err := p.At(ctx, at); err != nil || s.Position() != at {
					b.Fatal(s, err)
				}
				slowest = max(slowest, time.Since(begun))
			}
			b.ReportMetric(float64(slowest.Milliseconds()), "ms-slowest")
			b.ReportMetric((cpu(b)-since).Seconds()*1e3/float64(b.N), "cpu-ms/op")
		})
	}
	inMemory := func() float64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc) / 1e6
	}
	p.past = newPast()
	with := inMemory()
	p.recent.kept = nil
	without := inMemory()
	p.changes = nil
	neither := inMemory()
	runtime.KeepAlive(m)
	b.Run("memory", func(b *testing.B) {
		for range b.N {
			b.ReportMetric(with-without, "MB-snapshots")
			b.ReportMetric(without-neither, "MB-changes")
		}
	})
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		b.Fatal(err)
	}
}
