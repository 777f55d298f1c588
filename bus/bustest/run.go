package bustest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
)

// Run runs the whole suite. open makes a bus and closes it with t.Cleanup.
func Run(t *testing.T, open func(t *testing.T) bus.Bus) {
	for _, c := range []struct {
		name string
		test func(*testing.T, bus.Bus)
	}{
		{"append gives growing sequences", appendSequences},
		{"an event comes back as it was", appendRoundTrip},
		{"a wrong expectation is a conflict and stores nothing", appendConflict},
		{"of many who expect the same one wins", appendRace},
		{"started appends are stored in order", startOrder},
		{"what no log can store is refused", appendInvalid},
		{"late answers find who waits for them", lateAnswers},
		{"a writer stores each step once under faults", writerUnderFaults},
		{"a report arrives under faults", factsUnderFaults},
		{"a batch is stored whole with consecutive sequences", batchWhole},
		{"a batch with one conflict stores nothing", batchConflict},
		{"read ends at the durable end and filters", readFilters},
		{"follow goes on without gap or double", followContinues},
		{"follow from below the first event is gone", followGone},
		{"trim moves the beginning", trim},
		{"get gives the event at a sequence", get},
		{"get says what is trimmed, replaced or yet to come", getMissing},
		{"last is the newest event of exactly a subject", last},
		{"volatile keeps the last value and expiry is a deletion", volatileExpiry},
		{"a renewed volatile event stays", volatileRenewal},
		{"the feed shows last values and tombstones", feedValues},
		{"the feed's present values come in the order of their last changes", feedOrder},
		{"blobs come back, are listed and go", blobs},
		{"publish reaches subscribers in order", publishSubscribe},
		{"a request is answered, or refused at once", requestServe},
		{"leadership is handed over with a growing epoch", leadHandover},
		{"a tunnel carries bytes both ways and half-closes", tunnelBytes},
		{"a tunnel says which subject was dialled", tunnelSubject},
		{"a writer waits for its reader", tunnelBackpressure},
		{"a tunnel keeps deadlines", tunnelDeadline},
		{"a closed tunnel ends its peer", tunnelClose},
		{"a tunnel carries HTTP with upgrades and long watches", tunnelHTTP},
		{"nobody listening is said at once", tunnelNobody},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t)) })
	}
}

// wait bounds what should take a moment.
const wait = time.Minute

func contextFor(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	t.Cleanup(cancel)
	return ctx
}

// Key is the key of a pod for tests.
func Key(name string) events.Key {
	return events.Key{Resource: "pods", Namespace: "default", Name: name}
}

// Decision makes a decision about the pod name.
func Decision(name string) *events.Event {
	return &events.Event{
		Prefix: events.PrefixDecision, Key: Key(name), ID: bus.NewID(), Source: "bustest", Type: events.Updated,
		Time: time.Now(), ContentType: events.ContentPatch, Data: []byte(`{"metadata":{"labels":{"a":"b"}}}`),
	}
}

// Fact makes a report of node about the pod name.
func Fact(node, name string) *events.Event {
	e := Decision(name)
	e.Prefix, e.Reporter, e.Type = events.PrefixFact, node, events.Reported
	return e
}

// Volatile makes an event of the stream VOLATILE.
func Volatile(name, kind string) *events.Event {
	e := Decision(name)
	e.Prefix, e.Type, e.ContentType = events.PrefixVolatile, kind, events.ContentObject
	return e
}

func mustAppend(t *testing.T, log bus.Log, e bus.Entry) uint64 {
	t.Helper()
	seq, err := log.Append(contextFor(t), e)
	if err != nil {
		t.Fatal(err)
	}
	return seq
}

func fill(t *testing.T, log bus.Log, n int) []uint64 {
	t.Helper()
	pending := make([]*bus.Pending, n)
	for i := range pending {
		pending[i] = log.Start(bus.Entry{Event: Decision(fmt.Sprintf("p%d", i))})
	}
	seqs := make([]uint64, n)
	for i, p := range pending {
		var err error
		if seqs[i], err = p.Wait(contextFor(t)); err != nil {
			t.Fatal(err)
		}
	}
	return seqs
}
