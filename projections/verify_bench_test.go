package projections

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"testing"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/memory"
	"github.com/reckon-project/reckon/events"
)

// rollout is podLife in which each pod is deleted while later ones start, so
// that there are 3,000 at most.
func rollout(pods int) []*events.Event {
	var out []*events.Event
	var alive []events.Key
	for _, e := range podLife(pods) {
		out = append(out, e)
		if e.Key.Resource == "pods" && e.Type == events.Created {
			alive = append(alive, e.Key)
			if len(alive) > 3000 {
				out = append(out, &events.Event{Prefix: "log", Key: alive[0], Type: events.Deleted, ID: "d" + e.ID, Source: "bench", Time: e.Time})
				alive = alive[1:]
			}
		}
	}
	for i, e := range out {
		e.Sequence = uint64(i + 1)
	}
	return out
}

// BenchmarkVerify verifies the log of a rollout of 25,000 pods with checkpoints
// as far apart as in production.
func BenchmarkVerify(b *testing.B) {
	ctx := context.Background()
	m := memory.New(time.Now)
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))
	p := New(m.Log())
	life := rollout(25_000)
	every := int(Checkpoints{}.every())
	for i, e := range life {
		if _, err := m.Log().Append(ctx, bus.Entry{Event: e}); err != nil {
			b.Fatal(err)
		}
		if p.state.apply(e); i%every == every-1 {
			if err := writeCheckpoint(ctx, &Snapshot{p.state.freeze()}, m.Blobs(), key); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	since := cpu(b)
	for range b.N {
		report, err := Verify(ctx, m.Log(), m.Blobs(), key.Public().(ed25519.PublicKey), VerifyOptions{})
		if err != nil || !report.OK() || report.Checkpoints != len(life)/every || report.Voids > 0 {
			b.Fatal(report, err)
		}
	}
	reportRate(b, b.N*len(life), since)
}
