package server

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
)

func benchEvent(n uint64) *events.Event {
	return &events.Event{
		Prefix: events.PrefixDecision, Key: events.Key{Resource: "configmaps", Namespace: "bench", Name: fmt.Sprint(n)},
		ID: bus.NewID(), Source: "bench", Type: events.Created, Time: time.Now(), Actor: "bench",
		ContentType: events.ContentObject, Data: make([]byte, 300),
	}
}

// bare is group commit with nothing around it: collect what waits, publish it
// asynchronously, wait for the answers, sync once, answer.
type bare struct {
	js    jetstream.JetStream
	sync  func() error
	calls chan bareCall
}

type bareCall struct {
	m    *nats.Msg
	done chan error
}

func (b *bare) run() {
	for call := range b.calls {
		group := []bareCall{call}
	collect:
		for len(group) < 4096 {
			select {
			case more, ok := <-b.calls:
				if !ok {
					break collect
				}
				group = append(group, more)
			default:
				break collect
			}
		}
		acks := make([]jetstream.PubAckFuture, len(group))
		errs := make([]error, len(group))
		for i, c := range group {
			acks[i], errs[i] = b.js.PublishMsgAsync(c.m, jetstream.WithExpectLastSequencePerSubject(0))
		}
		for i, a := range acks {
			if errs[i] == nil {
				select {
				case <-a.Ok():
				case errs[i] = <-a.Err():
				}
			}
		}
		err := b.sync()
		for i, c := range group {
			if errs[i] == nil {
				errs[i] = err
			}
			c.done <- errs[i]
		}
	}
}

func (b *bare) append(e *events.Event) error {
	c := bareCall{&nats.Msg{Subject: e.Subject(), Header: nats.Header(e.Header()), Data: e.Data}, make(chan error, 1)}
	b.calls <- c
	return <-c.done
}

func rate(tb testing.TB, callers int, d time.Duration, f func(n uint64) error) float64 {
	var n atomic.Uint64
	var wg sync.WaitGroup
	start := time.Now()
	for range callers {
		wg.Go(func() {
			for time.Since(start) < d {
				if err := f(n.Add(1)); err != nil {
					tb.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return float64(n.Load()) / time.Since(start).Seconds()
}

// BenchmarkAppend prints durable appends a second beside the bare mechanism's,
// taken in turns: run it with -benchtime=1x.
func BenchmarkAppend(b *testing.B) {
	for _, callers := range []int{1, 8, 64, 512} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			for range b.N {
				var ours, theirs, whole float64
				const rounds = 3
				for range rounds {
					ours += oursRate(b, callers) / rounds
					theirs += bareRate(b, callers, false) / rounds
					whole += bareRate(b, callers, true) / rounds
				}
				b.ReportMetric(ours, "appends/s")
				b.ReportMetric(theirs, "bare-fdatasync/s")
				b.ReportMetric(whole, "bare-syncfs/s")
				b.ReportMetric(ours/max(theirs, whole), "of-bare")
			}
		})
	}
}

const benchTime = 1500 * time.Millisecond

func oursRate(b *testing.B, callers int) float64 {
	s, err := Start(Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Shutdown()
	c, err := s.Connect("component:bench")
	if err != nil {
		b.Fatal(err)
	}
	return rate(b, callers, benchTime, func(n uint64) error {
		_, err := c.Log().Append(context.Background(), bus.Entry{Event: benchEvent(n), Expect: bus.Expect(0)})
		return err
	})
}

func bareRate(b *testing.B, callers int, whole bool) float64 {
	s, err := Start(Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Shutdown()
	nc, err := s.dial("component:bench")()
	if err != nil {
		b.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(8192))
	if err != nil {
		b.Fatal(err)
	}
	blocks := &blocks{dir: streamDir(s.store, bus.StreamLog)}
	group := &bare{js: js, sync: blocks.sync, calls: make(chan bareCall, 8192)}
	if whole {
		group.sync = func() error { return syncFileSystem(s.store) }
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		group.run()
	}()
	defer func() {
		close(group.calls)
		<-done
	}()
	return rate(b, callers, benchTime, func(n uint64) error { return group.append(benchEvent(n)) })
}

// BenchmarkFollow prints events a second from the beginning of a log.
func BenchmarkFollow(b *testing.B) {
	s, err := Start(Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Shutdown()
	c, err := s.Connect("component:bench")
	if err != nil {
		b.Fatal(err)
	}
	const total = 300_000
	var last *bus.Pending
	for n := range uint64(total) {
		last = c.Log().Start(bus.Entry{Event: benchEvent(n)})
	}
	end, err := last.Wait(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		start := time.Now()
	follow:
		for slice, err := range c.Log().Follow(context.Background(), 0) {
			if err != nil {
				b.Fatal(err)
			}
			if slice[len(slice)-1].Sequence == end {
				break follow
			}
		}
		b.ReportMetric(total/time.Since(start).Seconds(), "events/s")
	}
}
