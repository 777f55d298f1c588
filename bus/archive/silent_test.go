package archive_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/archive"
	"github.com/reckon-project/reckon/bus/bustest"
	"github.com/reckon-project/reckon/events"
)

// mute is a blob store that may be down.
type mute struct {
	bus.Blobs
	down  atomic.Bool
	asked atomic.Int64
}

func (m *mute) answer() error {
	m.asked.Add(1)
	if m.down.Load() {
		return fmt.Errorf("store.example can't be reached: %w", events.ErrUnavailable)
	}
	return nil
}

func (m *mute) Put(ctx context.Context, name string, r io.Reader) error {
	if err := m.answer(); err != nil {
		return err
	}
	return m.Blobs.Put(ctx, name, r)
}

func (m *mute) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	if err := m.answer(); err != nil {
		return nil, err
	}
	return m.Blobs.Get(ctx, name)
}

func (m *mute) List(ctx context.Context, prefix string) ([]string, error) {
	if err := m.answer(); err != nil {
		return nil, err
	}
	return m.Blobs.List(ctx, prefix)
}

// While the archive is silent everything works that needs only the stream; what
// needs the archive says what doesn't answer; and all is there when it answers.
func TestTheStreamNeedsNoArchive(t *testing.T) {
	b, all := filled(t, 1000)
	blobs := &mute{Blobs: b.Blobs()}
	log := archive.NewLog(b.Log(), archive.NewStore(blobs))
	if err := log.Move(t.Context(), 501); err != nil {
		t.Fatal(err)
	}
	if err := log.Trim(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	log = archive.NewLog(b.Log(), archive.NewStore(blobs)) // a start
	blobs.down.Store(true)
	for range 2 {
		if first, last, err := log.Range(t.Context()); err != nil || first != 1 || last != 1000 {
			t.Fatalf("range is %d to %d (%v), want 1 to 1000", first, last, err)
		}
	}
	asked := blobs.asked.Load()
	for _, from := range []uint64{501, 700, 1000} {
		if got := collect(t, log, from); !same(got, all[from-1:]) {
			t.Errorf("read from %d gives %d events", from, len(got))
		}
		for slice, err := range log.Follow(t.Context(), from) {
			if err != nil || slice[0].Sequence != from {
				t.Fatalf("follow from %d: %v, %v", from, slice, err)
			}
			break
		}
		if e, err := log.Get(t.Context(), from); err != nil || e.Sequence != from {
			t.Errorf("get %d: %v, %v", from, e, err)
		}
	}
	if _, err := log.Append(t.Context(), bus.Entry{Event: bustest.Decision("new")}); err != nil {
		t.Error(err)
	}
	if blobs.asked.Load() != asked {
		t.Errorf("the archive was asked %d times for what is in the stream", blobs.asked.Load()-asked)
	}
	silent := func(what string, err error) {
		t.Helper()
		if s := (*archive.Silent)(nil); !errors.As(err, &s) || !errors.Is(err, events.ErrUnavailable) || !strings.Contains(err.Error(), "store.example") {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, from := range []uint64{0, 1, 500} {
		for _, err := range log.Read(t.Context(), from) {
			silent(fmt.Sprintf("read from %d", from), err)
		}
		for _, err := range log.Follow(t.Context(), from) {
			silent(fmt.Sprintf("follow from %d", from), err)
		}
	}
	_, err := log.Get(t.Context(), 500)
	silent("get", err)
	_, err = log.Last(t.Context(), bustest.Key("none").Subject())
	silent("last", err)
	silent("ask", log.Ask(t.Context()))
	if err, refused := log.Move(t.Context(), 700), (*archive.NotStored)(nil); !errors.As(err, &refused) {
		t.Errorf("move: %v", err)
	}
	if first, _, err := log.Stream().Range(t.Context()); err != nil || first != 501 {
		t.Errorf("the stream begins at %d (%v)", first, err)
	}

	blobs.down.Store(false)
	if err := log.Ask(t.Context()); err != nil {
		t.Fatal(err)
	}
	check(t, log, append(all, collect(t, log, 1001)...))
	// What began later than the first answer was told so, and is remembered.
	if err := log.Trim(t.Context(), 502); err != nil {
		t.Fatal(err)
	}
	if first, _, err := log.Range(t.Context()); err != nil || first != 502 {
		t.Fatalf("the log begins at %d (%v), want 502", first, err)
	}
	if err := log.Move(t.Context(), 700); err != nil {
		t.Fatal(err)
	}
	if first, _, err := log.Range(t.Context()); err != nil || first != 502 {
		t.Fatalf("the log begins at %d (%v), want 502", first, err)
	}
	blobs.down.Store(true)
	if err := b.Log().Trim(t.Context(), 800); err != nil { // as another process
		t.Fatal(err)
	}
	if first, _, err := log.Range(t.Context()); err != nil || first != 502 {
		t.Errorf("the log begins at %d (%v), want 502, which is known", first, err)
	}
}
