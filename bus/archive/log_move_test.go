package archive_test

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/archive"
	"github.com/reckon-project/reckon/events"
)

// faulty fails the n-th call that changes something, before or after its effect.
type faulty struct {
	bus.Blobs
	bus.Log
	left  *int
	after bool
}

var errFault = errors.New("a fault")

func (f faulty) do(effect func() error) error {
	*f.left--
	if *f.left != 0 {
		return effect()
	}
	if f.after {
		if err := effect(); err != nil {
			return err
		}
	}
	return errFault
}

type faultyBlobs struct{ faulty }

func (f faultyBlobs) Put(ctx context.Context, name string, r io.Reader) error {
	return f.do(func() error { return f.Blobs.Put(ctx, name, r) })
}
func (f faultyBlobs) Delete(ctx context.Context, name string) error {
	return f.do(func() error { return f.Blobs.Delete(ctx, name) })
}
func (f faultyBlobs) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	var r io.ReadCloser
	err := f.do(func() (err error) { r, err = f.Blobs.Get(ctx, name); return err })
	return r, err
}
func (f faultyBlobs) List(ctx context.Context, prefix string) ([]string, error) {
	return f.Blobs.List(ctx, prefix)
}

type faultyLog struct{ faulty }

func (f faultyLog) Trim(ctx context.Context, before uint64) error {
	return f.do(func() error { return f.Log.Trim(ctx, before) })
}
func (f faultyLog) Get(ctx context.Context, sequence uint64) (*events.Event, error) {
	return f.Log.Get(ctx, sequence)
}

// A crash between any two steps of Move loses nothing, doubles nothing, and the
// next Move gets to the end.
func TestMoveCrashesAtEveryStep(t *testing.T) {
	for _, after := range []bool{false, true} {
		steps := 0
		for step := 1; ; step++ {
			b, all := filled(t, 120)
			left := step
			f := faulty{Blobs: b.Blobs(), Log: b.Log(), left: &left, after: after}
			log := archive.NewLog(faultyLog{f}, archive.NewStore(faultyBlobs{f}))
			log.SetSize(30)
			err := log.Move(t.Context(), 100)
			crashed := left <= 0
			if crashed && !errors.Is(err, errFault) {
				t.Fatalf("step %d: %v", step, err)
			}
			fresh := archive.NewLog(b.Log(), archive.NewStore(b.Blobs()))
			if got := collect(t, fresh, 0); !same(got, all) {
				t.Fatalf("after a crash at step %d there are %d events, want %d", step, len(got), len(all))
			}
			// The next start goes on, with another end and another size.
			fresh.SetSize(25)
			if err := fresh.Move(t.Context(), 110); err != nil {
				t.Fatal(err)
			}
			if got := collect(t, fresh, 0); !same(got, all) {
				t.Fatalf("after step %d and another Move there are %d events, want %d", step, len(got), len(all))
			}
			first, _, _ := b.Log().Range(t.Context())
			segments, _ := b.Blobs().List(t.Context(), "archive/segment/")
			indexes, _ := b.Blobs().List(t.Context(), "archive/index/")
			if first != 110 || len(segments) != len(indexes) {
				t.Fatalf("after step %d: the stream begins at %d, %d segments have %d indexes", step, first, len(segments), len(indexes))
			}
			if !crashed {
				steps = step - 1
				break
			}
		}
		if steps < 4*4+1 {
			t.Errorf("%d steps were tried, four segments take four each, and there is the trim", steps)
		}
	}
}
