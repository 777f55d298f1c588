package archive_test

import (
	"testing"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/archive"
	"github.com/reckon-project/reckon/bus/bustest"
	"github.com/reckon-project/reckon/bus/server"
)

// embedded is a bus on a real server, archived in its object store.
func embedded(t *testing.T) *archive.Bus {
	t.Helper()
	s, err := server.Start(server.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	b, err := s.Connect("component:test")
	if err != nil {
		t.Fatal(err)
	}
	return archive.Wrap(b, nil)
}

func TestConformanceOnAServer(t *testing.T) {
	bustest.Run(t, func(t *testing.T) bus.Bus { return embedded(t) })
}

// The stream and its object store as one log, seen by two connections.
func TestArchiveInTheObjectStore(t *testing.T) {
	b := embedded(t)
	var pending []*bus.Pending
	for _, e := range script(1, 3000) {
		pending = append(pending, b.Log().Start(bus.Entry{Event: e}))
	}
	for _, p := range pending {
		if _, err := p.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	all := collect(t, b.Log(), 0)
	other := archive.Wrap(b.Bus, nil)
	b.Archived().SetSize(700)
	for _, before := range []uint64{900, 2600} {
		if err := b.Archived().Move(t.Context(), before); err != nil {
			t.Fatal(err)
		}
		check(t, b.Log(), all)
		check(t, other.Log(), all)
	}
	if first, _, err := b.Archived().Stream().Range(t.Context()); err != nil || first != 2600 {
		t.Errorf("the stream begins at %d (%v), want 2600", first, err)
	}
	e := bustest.Decision("web-0") // its last event is archived
	if _, err := b.Log().Append(t.Context(), bus.Entry{Event: e, Expect: bus.Expect(0)}); err != nil {
		t.Error(err)
	}
	if got, err := b.Log().Last(t.Context(), e.Subject()); err != nil || got.Sequence != 3001 {
		t.Errorf("its last event is %v (%v)", got, err)
	}
}
