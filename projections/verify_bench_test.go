package projections

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"testing"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/memory"
)

// BenchmarkVerify verifies the log of 10,000 pods' lives with a checkpoint
// every 20,000 events.
func BenchmarkVerify(b *testing.B) {
	ctx := context.Background()
	m := memory.New(time.Now)
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))
	p := New(m.Log())
	life := podLife(10_000)
	for i, e := range life {
		if _, err := m.Log().Append(ctx, bus.Entry{Event: e}); err != nil {
			b.Fatal(err)
		}
		if p.state.apply(e); i%20_000 == 19_999 {
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
		if err != nil || !report.OK() || report.Checkpoints != 2 {
			b.Fatal(report, err)
		}
	}
	reportRate(b, b.N*len(life), since)
}
