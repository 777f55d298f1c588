package history_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"testing"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/server"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
	"github.com/reckon-project/reckon/projections/history"
)

var benchEvents = flag.Int("events", 100_000, "how many events the log of a benchmark holds")

// BenchmarkPast asks about one pod, and about the last moments, in a log of
// -events events on a real server: pods that come, run and go.
func BenchmarkPast(b *testing.B) {
	srv, err := server.Start(server.Options{Dir: b.TempDir(), Name: "bench", Durability: server.Fast})
	if err != nil {
		b.Fatal(err)
	}
	defer srv.Shutdown()
	c, err := srv.Connect("component:bench")
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithCancel(context.Background())
	p := projections.New(c.Log())
	done := make(chan error)
	go func() { done <- p.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			b.Error(err)
		}
	}()
	last := fillLog(b, c.Log(), *benchEvents)
	if err := p.WaitFor(ctx, last); err != nil {
		b.Fatal(err)
	}
	r := &history.Reader{Log: c.Log(), Projection: p}
	for name, wave := range map[string]int{"Old": 3, "New": *benchEvents/benchLife - 3} {
		k := benchKey(wave)
		b.Run("Object/"+name, func(b *testing.B) {
			for b.Loop() {
				if life, err := r.Object(ctx, k); err != nil || len(life.Steps) != benchLife {
					b.Fatalf("%+v, %v", life, err)
				}
			}
		})
		b.Run("Why/"+name, func(b *testing.B) {
			for b.Loop() {
				if a, err := r.Why(ctx, k, nil); err != nil || len(a.Roots) != 1 {
					b.Fatalf("%+v, %v", a, err)
				}
			}
		})
	}
	b.Run("Between/last1150", func(b *testing.B) {
		for b.Loop() {
			if d, err := r.Between(ctx, last-1150, last, ""); err != nil || len(d.Objects) == 0 {
				b.Fatalf("%+v, %v", d, err)
			}
		}
	})
	b.Run("Moment", func(b *testing.B) {
		m := history.Moment{Text: "then", Time: time.Now().Add(-time.Second)}
		for b.Loop() {
			if _, err := m.Position(ctx, c.Log()); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// benchLife is how many events a pod of the benchmark lives.
const benchLife = 5

func benchKey(i int) events.Key {
	return events.Key{Resource: "pods", Namespace: fmt.Sprint("ns-", i%20), Name: fmt.Sprint("web-", i)}
}

// fillLog appends lives of pods, a hundred at a time side by side.
func fillLog(b *testing.B, log bus.Log, n int) (last uint64) {
	b.Helper()
	const wave = 100
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for begin := 0; begin < n/benchLife; begin += wave {
		var pending []*bus.Pending
		for step := range benchLife {
			for i := begin; i < begin+wave; i++ {
				k := benchKey(i)
				uid, node := "uid-"+k.Name, fmt.Sprint("n", i%100)
				e := &events.Event{Prefix: events.PrefixDecision, Key: k, ID: fmt.Sprint(i, "-", step), Source: "bench", Time: at, ContentType: events.ContentPatch}
				if created := last + uint64(i-begin) + 1; step > 0 {
					e.Cause = []uint64{created}
				}
				switch step {
				case 0:
					e.Type, e.Actor, e.Source, e.ContentType = events.Created, "alice", "gateway", events.ContentObject
					e.Data = fmt.Appendf(nil, `{"apiVersion":"v1","kind":"Pod","metadata":{"namespace":%q,"name":%q,"uid":%q},"spec":{"containers":[{"name":"web","image":"hello:1"}]},"status":{"phase":"Pending"}}`, k.Namespace, k.Name, uid)
				case 1:
					e.Type, e.Why, e.Data = events.Scheduled, `{"nodes":100,"feasible":100}`, fmt.Appendf(nil, `{"spec":{"nodeName":%q}}`, node)
				case 4:
					e.Type, e.ContentType = events.Deleted, ""
				default:
					e.Prefix, e.Reporter, e.Type, e.UID = events.PrefixFact, node, events.Reported, uid
					e.Counter = events.Counter{Incarnation: 1, N: uint64(step)}
					e.Data = fmt.Appendf(nil, `{"status":{"phase":"Running","podIP":"10.0.0.%d","conditions":[{"type":"Ready","status":"%s"}]}}`, step, map[int]string{2: "True", 3: "False"}[step])
				}
				pending = append(pending, log.Start(bus.Entry{Event: e}))
			}
		}
		for _, p := range pending {
			seq, err := p.Wait(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			last = max(last, seq)
		}
	}
	return last
}
