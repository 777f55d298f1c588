package bus

import (
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/reckon-project/reckon/events"
)

// markerReason is set by JetStream on the marker it leaves when a message expires.
const markerReason = "Nats-Marker-Reason"

// HeaderStored is when a message that was imported from another log was stored
// there: its event's Stored.
const HeaderStored = "Reckon-Stored"

// decode makes the event of a stored message. What isn't an event comes back
// with an empty Type, its Key from the subject where that can be read and the
// reason in Note, so that a fold voids it; only an event of a newer version of
// the program is an error.
func decode(subject string, header nats.Header, data []byte, sequence uint64, stored time.Time) (*events.Event, error) {
	if reason := header[markerReason]; len(reason) > 0 {
		return expired(subject, sequence, stored), nil
	}
	e, err := events.Parse(subject, events.Header(header), data)
	if newer := (*events.NewerEnvelope)(nil); errors.As(err, &newer) {
		return nil, fmt.Errorf("sequence %d on %s: %w", sequence, subject, err)
	}
	if err != nil {
		e = &events.Event{Note: err.Error(), Data: data}
		if s, err := events.ParseSubject(subject); err == nil {
			e.Prefix, e.Reporter, e.Key = s.Prefix, s.Reporter, s.Key
		}
		if id := header["ce-id"]; len(id) > 0 {
			e.ID = id[0]
		}
	}
	if text := header[HeaderStored]; len(text) > 0 {
		if at, err := time.Parse(time.RFC3339Nano, text[0]); err == nil {
			stored = at
		}
	}
	e.Sequence, e.Stored = sequence, stored.UTC()
	return e, nil
}

func expired(subject string, sequence uint64, stored time.Time) *events.Event {
	e := &events.Event{
		Sequence: sequence, Stored: stored.UTC(), Time: stored.UTC(), ID: fmt.Sprintf("expired-%d", sequence),
		Source: "bus", Type: events.Deleted, Actor: "expiry", Prefix: events.PrefixVolatile,
	}
	if s, err := events.ParseSubject(subject); err == nil {
		e.Prefix, e.Key = s.Prefix, s.Key
	}
	return e
}
