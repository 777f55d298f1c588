package archive_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/archive"
	"github.com/reckon-project/reckon/bus/bustest"
	"github.com/reckon-project/reckon/bus/memory"
	"github.com/reckon-project/reckon/events"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait"),
		// Of an upload to the object store that ended before it began to run: it never ends.
		goleak.IgnoreAnyFunction("github.com/nats-io/nats.go/jetstream.(*jetStream).resetPendingAcksOnReconnect"))
}

func TestConformance(t *testing.T) {
	bustest.Run(t, func(*testing.T) bus.Bus { return archive.Wrap(memory.New(time.Now), nil) })
}

// eager archives all but the newest events before every read, so that the suite
// reads across the border each time.
type eager struct {
	bus.Bus
	log *archive.Log
}

func (e eager) Log() bus.Log { return eagerLog{e.log} }

type eagerLog struct{ *archive.Log }

func (l eagerLog) move(ctx context.Context) {
	if first, last, err := l.Stream().Range(ctx); err == nil && last > first {
		if err := l.Move(ctx, last); err != nil && ctx.Err() == nil {
			panic(err)
		}
	}
}

func (l eagerLog) Read(ctx context.Context, from uint64, filters ...string) iter.Seq2[*events.Event, error] {
	l.move(ctx)
	return l.Log.Read(ctx, from, filters...)
}

func (l eagerLog) Follow(ctx context.Context, from uint64, filters ...string) iter.Seq2[[]*events.Event, error] {
	l.move(ctx)
	return l.Log.Follow(ctx, from, filters...)
}

func (l eagerLog) Get(ctx context.Context, sequence uint64) (*events.Event, error) {
	l.move(ctx)
	return l.Log.Get(ctx, sequence)
}

func (l eagerLog) Last(ctx context.Context, subject string) (*events.Event, error) {
	l.move(ctx)
	return l.Log.Last(ctx, subject)
}

func TestConformanceAcrossTheBorder(t *testing.T) {
	bustest.Run(t, func(t *testing.T) bus.Bus {
		b := archive.Wrap(memory.New(time.Now), nil)
		b.Archived().SetSize(1) // Trim takes whole segments
		return eager{b, b.Archived()}
	})
}

// filled is a log of n events in memory, and what it gives when read at once.
func filled(t testing.TB, n int) (*memory.Bus, []*events.Event) {
	t.Helper()
	now := epoch
	b := memory.New(func() time.Time { now = now.Add(time.Second); return now })
	for _, e := range script(1, n) {
		if _, err := b.Log().Append(t.Context(), bus.Entry{Event: e}); err != nil {
			t.Fatal(err)
		}
	}
	return b, collect(t, b.Log(), 0)
}

func collect(t testing.TB, log bus.Log, from uint64, filters ...string) []*events.Event {
	t.Helper()
	var out []*events.Event
	for e, err := range log.Read(t.Context(), from, filters...) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

// same compares events, times by what they mean.
func same(a, b []*events.Event) bool {
	return slices.EqualFunc(a, b, func(x, y *events.Event) bool {
		c, d := *x, *y
		if !c.Stored.Equal(d.Stored) || !c.Time.Equal(d.Time) {
			return false
		}
		c.Stored, c.Time = d.Stored, d.Time
		return reflect.DeepEqual(c, d)
	})
}

func TestArchiveAndStreamAreOneLog(t *testing.T) {
	b, all := filled(t, 3000)
	log := archive.NewLog(b.Log(), archive.NewStore(b.Blobs()))
	log.SetSize(700)
	for _, before := range []uint64{500, 1900, 1900, 1000, 2990} {
		if err := log.Move(t.Context(), before); err != nil {
			t.Fatal(err)
		}
		check(t, log, all)
	}
	if first, _, err := log.Stream().Range(t.Context()); err != nil || first != 2990 {
		t.Errorf("the stream begins at %d (%v), want 2990", first, err)
	}
	// The running hash goes through all segments.
	spans, err := log.Store().Spans(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	var chain events.Chain
	for _, e := range all[:2989] {
		chain = chain.Next(e.Digest())
	}
	m, err := log.Store().Manifest(t.Context(), spans[len(spans)-1])
	if err != nil || m.Chain == nil || m.Chain.End != hex.EncodeToString(chain[:]) {
		t.Errorf("the newest segment's chain is %+v (%v), want it to end with %x", m.Chain, err, chain)
	}
	// Another process sees the same.
	check(t, archive.NewLog(b.Log(), archive.NewStore(b.Blobs())), all)
}

// check reads log in every way and compares.
func check(t *testing.T, log bus.Log, all []*events.Event) {
	t.Helper()
	if first, last, err := log.Range(t.Context()); err != nil || first != all[0].Sequence || last != all[len(all)-1].Sequence {
		t.Fatalf("range is %d to %d (%v), want %d to %d", first, last, err, all[0].Sequence, all[len(all)-1].Sequence)
	}
	for _, from := range []uint64{0, 2, 500, 501, 2990, uint64(len(all))} {
		for _, filters := range [][]string{
			nil, {">"}, {"log.>"}, {"fact.n3.>"}, {"fact.*.core.pods.default.web-7"}, {"log.core.pods.default.web-200", "fact.*.core.pods.default.web-200"},
			{"log.core.pods.*.web-3"}, {"log.apps.>"}, {"*.core.pods.default.web-1"},
		} {
			var want []*events.Event
			for _, e := range all {
				if e.Sequence >= from && bus.MatchAny(filters, e.Subject()) {
					want = append(want, e)
				}
			}
			if got := collect(t, log, from, filters...); !same(got, want) {
				t.Fatalf("read from %d of %q gives %d events, want %d", from, filters, len(got), len(want))
			}
			if len(want) == 0 {
				continue
			}
			var got []*events.Event
			for slice, err := range log.Follow(t.Context(), max(from, all[0].Sequence), filters...) {
				if err != nil {
					t.Fatal(err)
				}
				if got = append(got, slice...); len(got) >= len(want) {
					break
				}
			}
			if !same(got, want) {
				t.Fatalf("follow from %d of %q gives %d events, want %d", from, filters, len(got), len(want))
			}
		}
	}
	for _, e := range []*events.Event{all[0], all[len(all)/2], all[len(all)-1]} {
		if got, err := log.Get(t.Context(), e.Sequence); err != nil || !same([]*events.Event{got}, []*events.Event{e}) {
			t.Errorf("get %d: %v, %v", e.Sequence, got, err)
		}
	}
	newest := map[string]*events.Event{}
	for _, e := range all {
		newest[e.Subject()] = e
	}
	for _, name := range []string{"web-0", "web-100", "web-599"} {
		subject := bustest.Key(name).Subject()
		if got, err := log.Last(t.Context(), subject); newest[subject] != nil && (err != nil || got.Sequence != newest[subject].Sequence) {
			t.Errorf("last on %s: %v, %v", subject, got, err)
		}
	}
	if _, err := log.Last(t.Context(), bustest.Key("none").Subject()); !errors.Is(err, events.ErrNotFound) {
		t.Errorf("last on an unused subject: %v", err)
	}
}

// A reader in one process goes on while another process archives under it.
func TestReadersCrossATrim(t *testing.T) {
	for _, filter := range []string{"", ">", "log.>"} {
		t.Run("filter "+filter, func(t *testing.T) {
			var filters []string
			if filter != "" {
				filters = []string{filter}
			}
			b, _ := filled(t, 3000)
			want := collect(t, b.Log(), 0, filters...)
			mover := archive.NewLog(b.Log(), archive.NewStore(b.Blobs()))
			log := archive.NewLog(b.Log(), archive.NewStore(b.Blobs()))
			var got []*events.Event
			for e, err := range log.Read(t.Context(), 0, filters...) {
				if err != nil {
					t.Fatal(err)
				}
				if got = append(got, e); len(got)%150 == 0 {
					if err := mover.Move(t.Context(), e.Sequence+700); err != nil {
						t.Fatal(err)
					}
				}
			}
			if !same(got, want) {
				t.Errorf("read %d events, want %d", len(got), len(want))
			}

			b, _ = filled(t, 3000)
			mover = archive.NewLog(b.Log(), archive.NewStore(b.Blobs()))
			log = archive.NewLog(b.Log(), archive.NewStore(b.Blobs()))
			got = nil
			for slice, err := range log.Follow(t.Context(), 0, filters...) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, slice...)
				if err := mover.Move(t.Context(), slice[len(slice)-1].Sequence+700); err != nil {
					t.Fatal(err)
				}
				if len(got) >= len(want) {
					break
				}
			}
			if !same(got, want) {
				t.Errorf("followed %d events, want %d", len(got), len(want))
			}
		})
	}
}

// change rewrites one blob.
func change(t *testing.T, blobs bus.Blobs, name string, f func([]byte) []byte) {
	t.Helper()
	r, err := blobs.Get(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := blobs.Put(t.Context(), name, bytes.NewReader(f(bytes.Clone(data)))); err != nil {
		t.Fatal(err)
	}
}

func TestDamageCostsOneFrame(t *testing.T) {
	b, all := filled(t, 6000)
	log := archive.NewLog(b.Log(), archive.NewStore(b.Blobs()))
	log.SetSize(3000)
	if err := log.Move(t.Context(), 6001); err != nil {
		t.Fatal(err)
	}
	names, err := b.Blobs().List(t.Context(), "archive/segment/")
	if err != nil || len(names) != 2 {
		t.Fatal(names, err)
	}
	// A damaged index is made up for by the segment's footer.
	change(t, b.Blobs(), strings.Replace(names[1], "segment", "index", 1), func(d []byte) []byte { d[len(d)/2] ^= 1; return d })
	check(t, archive.NewLog(b.Log(), archive.NewStore(b.Blobs())), all)
	// A damaged frame is named, and reading goes on behind it.
	change(t, b.Blobs(), names[0], func(d []byte) []byte { d[len(d)/2] ^= 1; return d })
	log = archive.NewLog(b.Log(), archive.NewStore(b.Blobs()))
	var got []*events.Event
	var d *archive.Damaged
	for e, err := range log.Read(t.Context(), 0) {
		if err != nil {
			if !errors.As(err, &d) {
				t.Fatal(err)
			}
			break
		}
		got = append(got, e)
	}
	if d == nil || d.Frame != 1 || d.First != 1001 || d.Last != 2000 || len(got) != 1000 || !errors.Is(d, events.ErrGone) || !strings.Contains(d.Error(), "-00000000000000003000") {
		t.Fatalf("%d events, then %v", len(got), d)
	}
	if got = append(got, collect(t, log, d.Last+1)...); len(got) != 5000 {
		t.Errorf("%d events are readable, want 5000", len(got))
	}
	if got := collect(t, log, 0, bustest.Key("web-999").Subject()); len(got) != 2 {
		t.Errorf("an object of another frame has %d events", len(got))
	}
	// A segment that is gone altogether is said to be gone.
	if err := b.Blobs().Delete(t.Context(), names[1]); err != nil {
		t.Fatal(err)
	}
	if _, err := archive.NewLog(b.Log(), archive.NewStore(b.Blobs())).Get(t.Context(), 4500); !errors.Is(err, events.ErrGone) {
		t.Errorf("an event of a lost segment: %v", err)
	}
}

func TestTrimLetsGoOfWholeSegments(t *testing.T) {
	b, all := filled(t, 1000)
	log := archive.NewLog(b.Log(), archive.NewStore(b.Blobs()))
	log.SetSize(200)
	if err := log.Move(t.Context(), 901); err != nil {
		t.Fatal(err)
	}
	if err := log.Trim(t.Context(), 450); err != nil {
		t.Fatal(err)
	}
	check(t, log, all[400:])
	if _, err := log.Get(t.Context(), 400); !errors.Is(err, events.ErrGone) {
		t.Errorf("an event that was let go: %v", err)
	}
	for _, err := range log.Follow(t.Context(), 300) {
		if !errors.Is(err, events.ErrGone) || !strings.Contains(err.Error(), "begins at 401") {
			t.Errorf("follow from before the history: %v", err)
		}
		break
	}
	if err := log.Trim(t.Context(), 950); err != nil {
		t.Fatal(err)
	}
	check(t, log, all[949:])
}

// An object's next decision expects nothing once its last event left the
// stream: the archive doesn't get between.
func TestExpectationsAreTheStreams(t *testing.T) {
	b, _ := filled(t, 10)
	log := archive.NewLog(b.Log(), archive.NewStore(b.Blobs()))
	if err := log.Move(t.Context(), 11); err != nil {
		t.Fatal(err)
	}
	e := bustest.Decision("web-0")
	if _, err := log.Append(t.Context(), bus.Entry{Event: e, Expect: bus.Expect(2)}); !errors.Is(err, events.ErrConflict) {
		t.Errorf("expecting an archived event: %v", err)
	}
	if seq, err := log.Append(t.Context(), bus.Entry{Event: e, Expect: bus.Expect(0)}); err != nil || seq != 11 {
		t.Errorf("expecting nothing: %d, %v", seq, err)
	}
}

func BenchmarkObjectInAMillion(b *testing.B) {
	for _, where := range []string{"memory", "folder"} {
		b.Run(where, func(b *testing.B) { benchmarkObject(b, where) })
	}
}

func benchmarkObject(b *testing.B, where string) {
	const n = 1_000_000
	now := epoch
	m := memory.New(func() time.Time { now = now.Add(time.Second); return now })
	blobs := m.Blobs()
	if where == "folder" {
		blobs = archive.Folder(b.TempDir())
	}
	log := archive.NewLog(m.Log(), archive.NewStore(blobs))
	for i := 0; i < n; i += 50_000 {
		for _, e := range script(uint64(i+1), 50_000) {
			e.Key.Name += fmt.Sprint("-", i)
			if _, err := m.Log().Append(b.Context(), bus.Entry{Event: e}); err != nil {
				b.Fatal(err)
			}
		}
		if err := log.Move(b.Context(), uint64(i+50_001)); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		cold := archive.NewLog(m.Log(), archive.NewStore(blobs))
		if got := collect(b, cold, 0, "log.core.pods.default.web-7-500000", "fact.*.core.pods.default.web-7-500000"); len(got) != 5 {
			b.Fatal(len(got))
		}
	}
}
