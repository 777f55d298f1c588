package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/reckon-project/reckon/events"
)

// A restricted identity doesn't publish into a stream: whoever does chooses
// where JetStream's answer goes, and so could publish wherever JetStream may. It
// hands its facts in on put.<identity>.<subject>, a server appends them and
// answers to an inbox of that identity and nowhere else.
//
//	node ──put.node:n1.fact.n1.…──► server ──fact.n1.…──► LOG
//	     ◄── {"seq":12} or {"error":{…}}, as JetStream words it

// PutSubject is where identity hands in an event for subject.
func PutSubject(identity, subject string) string {
	return "put." + events.EncodeToken(identity) + "." + subject
}

// ServePuts takes in what restricted identities append, until ctx ends. b is
// a server's own bus. Events of one connection are stored in their order.
func ServePuts(ctx context.Context, b Bus) error {
	c, ok := b.(*connection)
	if !ok {
		return fmt.Errorf("%w: %T takes in no events", events.ErrInvalid, b)
	}
	return c.subscribe(ctx, "put.*.>", "put", c.put)
}

func (c *connection) put(m *nats.Msg) {
	token, subject, _ := strings.Cut(strings.TrimPrefix(m.Subject, "put."), ".")
	if !strings.HasPrefix(m.Reply, inboxPrefix+token+".") {
		return
	}
	answer := func(sequence uint64, err error) {
		if body := putAnswer(sequence, err); body != nil {
			c.nc.Publish(m.Reply, body) //nolint:errcheck // who asked looks the event up
		}
	}
	e, err := parsePut(subject, m)
	if err != nil {
		answer(0, err)
		return
	}
	c.log.start(e, answer)
}

func parsePut(subject string, m *nats.Msg) (Entry, error) {
	e, err := events.Parse(subject, events.Header(m.Header), m.Data)
	if err != nil {
		return Entry{}, fmt.Errorf("%w: %w", events.ErrInvalid, err)
	}
	if e.Prefix != events.PrefixFact {
		return Entry{}, fmt.Errorf("%w: %s is no fact", events.ErrInvalid, subject)
	}
	entry := Entry{Event: e}
	if text := m.Header.Get(headerExpect); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return Entry{}, fmt.Errorf("%w: %s %q is no sequence", events.ErrInvalid, headerExpect, text)
		}
		entry.Expect = &n
	}
	return entry, nil
}

// putAnswer words an outcome; nil where it isn't known: then the event's
// sender looks it up.
func putAnswer(sequence uint64, err error) []byte {
	var a ack
	var e *apiError
	switch {
	case err == nil:
		a.Seq = sequence
	case errors.Is(err, events.ErrConflict):
		a.Error = &apiError{400, errWrongLastSequence, err.Error()}
	case errors.Is(err, events.ErrInvalid):
		a.Error = &apiError{400, 0, err.Error()}
	case errors.Is(err, errFull):
		a.Error = &apiError{503, errAccountFull, err.Error()}
	case errors.As(err, &e):
		a.Error = e
	default:
		return nil
	}
	body, err := json.Marshal(a)
	if err != nil {
		return nil
	}
	return body
}
