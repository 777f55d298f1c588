package bus

import (
	"fmt"
	"time"

	"github.com/reckon-project/reckon/events"
)

const (
	MaxBatch = 1000    // entries of one AppendBatch
	MaxData  = 6 << 20 // bytes of one event's data; a Secret of 1 MiB is 1.4 MB of JSON
)

// CheckEntry refuses what no log can store, with an error of class ErrInvalid.
func CheckEntry(e Entry) error {
	ev := e.Event
	if ev.ID == "" || ev.Type == "" || ev.Source == "" {
		return fmt.Errorf("%w: event on %s lacks an id, a type or a source", events.ErrInvalid, ev.Key)
	}
	if ev.Key.Resource == "" || ev.Key.Name == "" {
		return fmt.Errorf("%w: event %s lacks a resource or a name", events.ErrInvalid, ev.ID)
	}
	if n := len(ev.Subject()); n > events.MaxSubject {
		return fmt.Errorf("%w: the subject of %s is %d bytes long, at most %d are allowed", events.ErrInvalid, ev.Key, n, events.MaxSubject)
	}
	if len(ev.Data) > MaxData {
		return fmt.Errorf("%w: the event on %s carries %d bytes, at most %d are allowed", events.ErrInvalid, ev.Key, len(ev.Data), MaxData)
	}
	return nil
}

// Conflict is a failed expectation: nothing was stored. Last is the subject's
// last sequence where the log said it (0 otherwise).
type Conflict struct {
	Subject  string
	Expected uint64
	Last     uint64
}

func (c *Conflict) Error() string {
	return fmt.Sprintf("append to %s: expected its last sequence to be %d, it is %d", c.Subject, c.Expected, c.Last)
}

func (c *Conflict) Is(target error) bool { return target == events.ErrConflict }

// LeaderKey names the object whose events are a component's leaderships.
func LeaderKey(component string) events.Key {
	return events.Key{Group: "reckon.dev", Resource: "leaders", Name: component}
}

// ElectedEvent is the leadership event that Bus.Lead appends.
func ElectedEvent(component, holder string, now time.Time) *events.Event {
	return &events.Event{
		Prefix: events.PrefixDecision, Key: LeaderKey(component),
		ID: NewID(), Source: "bus", Type: events.Elected, Time: now,
		Actor: holder, Component: component, Reason: "LeaderElection", Note: holder + " became leader of " + component,
	}
}
