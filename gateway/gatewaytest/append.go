package gatewaytest

import (
	"testing"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
)

// Append appends a decision as a built-in component does, on the object's
// newest state, and waits until it is folded.
func Append(t testing.TB, c *Cluster, e *events.Event) uint64 {
	t.Helper()
	e.ID, e.Time = bus.NewID(), time.Now()
	seq, err := c.Bus.Log().Append(t.Context(), bus.Entry{Event: e, Expect: bus.Expect(c.Log.Snapshot().Decision(e.Key))})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Log.WaitFor(t.Context(), seq); err != nil {
		t.Fatal(err)
	}
	return seq
}
