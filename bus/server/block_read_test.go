package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
)

// fillLog appends small events and some large ones, over several blocks.
func fillLog(t *testing.T, log bus.Log, n int) {
	t.Helper()
	var last *bus.Pending
	for i := range n {
		e := benchEvent(uint64(i % 1000))
		e.Note = fmt.Sprintf("event %d: of many", i)
		if i%1000 == 999 {
			e.Data = make([]byte, 1<<20)
		}
		if i%7 == 0 {
			e.Prefix, e.Reporter, e.Data = events.PrefixFact, "n1", nil
		}
		last = log.Start(bus.Entry{Event: e})
	}
	if _, err := last.Wait(contextOf(t)); err != nil {
		t.Fatal(err)
	}
}

func contextOf(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func readAll(t *testing.T, log bus.Log, from uint64, filters ...string) []*events.Event {
	t.Helper()
	var out []*events.Event
	for e, err := range log.Read(contextOf(t), from, filters...) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

func openLog(t *testing.T) (*Server, bus.Log) {
	t.Helper()
	s, err := Start(Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	b, err := s.Connect("component:test")
	if err != nil {
		t.Fatal(err)
	}
	return s, b.Log()
}

// What the files say is what JetStream's consumers say, trimmed or not.
func TestBlocksAgreeWithConsumer(t *testing.T) {
	s, log := openLog(t)
	const n = 20_000
	fillLog(t, log, n)
	d := s.durability.(*durability)
	if numbers, err := d.log.numbers(); err != nil || len(numbers) < 3 {
		t.Fatalf("blocks %v (%v), want several", numbers, err)
	}
	for _, begin := range []uint64{1, 7000, 15_500} {
		if err := log.Trim(contextOf(t), begin); err != nil {
			t.Fatal(err)
		}
		for _, from := range []uint64{begin, begin + 3000} {
			consumed := readAll(t, log, from, "log.>", "fact.>")
			if len(consumed) != n-int(from)+1 {
				t.Fatalf("a consumer gives %d events from %d of %d", len(consumed), from, n)
			}
			count := 0
			d.ReadBlocks(contextOf(t), bus.StreamLog, from, n, func(bus.Stored) bool { count++; return true })
			if count != len(consumed) {
				t.Errorf("the files give %d events from %d, a consumer %d", count, from, len(consumed))
			}
			read := readAll(t, log, from)
			for i, e := range consumed {
				if len(e.Data) == 0 && len(read[i].Data) == 0 {
					e.Data, read[i].Data = nil, nil
				}
				if !reflect.DeepEqual(e, read[i]) {
					t.Fatalf("event %d is %+v, a consumer says %+v", e.Sequence, read[i], e)
				}
			}
		}
	}
}

// Damage ends what the files give, before it.
func TestBlocksEndBeforeDamage(t *testing.T) {
	s, log := openLog(t)
	fillLog(t, log, 500)
	b := s.durability.(*durability).log
	path := filepath.Join(b.dir, "1.blk")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func([]byte) []byte{
		"a byte":     func(d []byte) []byte { d[len(d)/2] ^= 1; return d },
		"cut off":    func(d []byte) []byte { return d[:len(d)/2] },
		"a length":   func(d []byte) []byte { d[0], d[3] = 0xff, 0x7f; return d },
		"all zeroes": func(d []byte) []byte { clear(d); return d },
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "1.blk"), damage(append([]byte(nil), data...)), 0o600); err != nil {
			t.Fatal(err)
		}
		next := uint64(1)
		damaged := &blocks{stream: b.stream, dir: dir}
		err := damaged.read(contextOf(t), 1, 500, func(m bus.Stored) bool {
			if m.Sequence != next {
				t.Errorf("%s: sequence %d where %d was due", name, m.Sequence, next)
			}
			next++
			return true
		})
		if next > 400 || name != "cut off" && !errors.Is(err, errBlocks) {
			t.Errorf("%s: read up to %d (%v)", name, next, err)
		}
	}
}

// A reader that stops early ends the reading of files.
func TestReadStopsEarly(t *testing.T) {
	_, log := openLog(t)
	fillLog(t, log, 3000)
	for _, stop := range []uint64{1, 63, 64, 65, 2999} {
		for e, err := range log.Read(contextOf(t), 1) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Sequence == stop {
				break
			}
		}
	}
	ctx, cancel := context.WithCancel(contextOf(t))
	defer cancel()
	for e, err := range log.Read(ctx, 1) {
		if errors.Is(err, context.Canceled) {
			break
		}
		if err != nil || e.Sequence == 3000 {
			t.Fatalf("read on after its context had ended: %v, %v", e, err)
		}
		cancel()
	}
}
