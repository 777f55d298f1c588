package bus_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/bustest"
	"github.com/reckon-project/reckon/bus/server"
	"github.com/reckon-project/reckon/events"
)

// With every answer lost each append's outcome is still certain.
func TestLostAnswers(t *testing.T) {
	s, err := server.Start(server.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	admin, err := s.Connect("component:test")
	if err != nil {
		t.Fatal(err)
	}
	taken, err := admin.Log().Append(ctx, bus.Entry{Event: bustest.Decision("taken")})
	if err != nil {
		t.Fatal(err)
	}
	deaf, err := s.Connect("component:deaf")
	if err != nil {
		t.Fatal(err)
	}
	node, err := s.Connect("node:n1")
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range []bus.Bus{deaf, node} {
		if err := bus.LoseAnswers(b); err != nil {
			t.Fatal(err)
		}
	}
	expected := deaf.Log().Start(bus.Entry{Event: bustest.Decision("free"), Expect: bus.Expect(0)})
	conflict := deaf.Log().Start(bus.Entry{Event: bustest.Decision("taken"), Expect: bus.Expect(0)})
	plain := deaf.Log().Start(bus.Entry{Event: bustest.Decision("plain")})
	fact := node.Log().Start(bus.Entry{Event: bustest.Fact("n1", "a")})
	for name, p := range map[string]*bus.Pending{"expected": expected, "plain": plain, "fact": fact} {
		if seq, err := p.Wait(ctx); err != nil || seq <= taken {
			t.Errorf("%s: %d, %v", name, seq, err)
		}
	}
	var c *bus.Conflict
	if _, err := conflict.Wait(ctx); !errors.Is(err, events.ErrConflict) || !errors.As(err, &c) || c.Last != taken {
		t.Errorf("conflict: %v", err)
	}
	if _, last, err := admin.Log().Range(ctx); err != nil || last != taken+3 {
		t.Errorf("the log ends at %d (%v), want %d", last, err, taken+3)
	}
}
