package events_test

import (
	"slices"
	"testing"

	"github.com/reckon-project/reckon/events"
)

func TestStepsTravelInOneEvent(t *testing.T) {
	steps := []events.Step{{"Pulled", "Container image \"web:1\" already present on machine"}, {"Created", "Container created: web, with; signs, in it"}, {"Started", "Container started:\nweb"}}
	e := &events.Event{Prefix: events.PrefixFact, Reporter: "n1", Key: events.Key{Resource: "pods", Namespace: "a", Name: "b"}, ID: "1", Source: "agent/n1", Type: events.Reported}
	e.Reason, e.Note = events.JoinSteps(steps)
	parsed, err := events.Parse(e.Subject(), e.Header(), e.Data)
	if err != nil {
		t.Fatal(err)
	}
	steps[2].Note = "Container started: web"
	if got := parsed.Steps(); !slices.Equal(got, steps) {
		t.Errorf("got %q, want %q", got, steps)
	}
	for _, one := range []events.Event{{}, {Reason: "Scheduled", Note: "to n1"}, {Reason: "A,B", Note: "only one"}, {Reason: "A", Note: "two\nlines"}} {
		if got := one.Steps(); len(got) != 1 || got[0].Reason != one.Reason || got[0].Note != one.Note {
			t.Errorf("%q, %q: got %q", one.Reason, one.Note, got)
		}
	}
}
