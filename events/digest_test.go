package events_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/reckon-project/reckon/events"
)

// encoding reads a canonical encoding: that it can be read back is why no two
// events share one.
type encoding struct {
	b  []byte
	ok bool
}

func (c *encoding) take(n uint64) []byte {
	if n > uint64(len(c.b)) {
		c.ok, n = false, 0
	}
	out := c.b[:n]
	c.b = c.b[n:]
	return out
}

func (c *encoding) number() uint64 {
	if b := c.take(8); len(b) == 8 {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (c *encoding) text() string {
	n, size := binary.Uvarint(c.b)
	if size <= 0 {
		c.ok = false
		return ""
	}
	c.take(uint64(size))
	return string(c.take(n))
}

func (c *encoding) event() *events.Event {
	e := &events.Event{}
	c.take(1)
	e.Sequence = c.number()
	for _, s := range []*string{&e.Prefix, &e.Reporter, &e.Key.Group, &e.Key.Resource, &e.Key.Namespace, &e.Key.Name, &e.ID, &e.Type} {
		*s = c.text()
	}
	if e.Type != "" {
		e.Time = time.Unix(int64(c.number()), int64(c.number())).UTC()
		for n := c.number(); n > 0 && c.ok; n-- {
			e.Cause = append(e.Cause, c.number())
		}
		for _, n := range []*uint64{&e.IfVersion, &e.Epoch, &e.Counter.Incarnation, &e.Counter.N} {
			*n = c.number()
		}
		for _, s := range []*string{&e.Source, &e.Traceparent, &e.Actor, &e.Reason, &e.Note, &e.Why, &e.Verb, &e.Component, &e.UID, &e.ContentType} {
			*s = c.text()
		}
	}
	if data := c.take(c.number()); len(data) > 0 {
		e.Data = data
	}
	return e
}

func someEvent(t *rapid.T) *events.Event {
	text := rapid.StringN(0, 6, -1)
	number := rapid.Uint64Range(0, 3)
	e := &events.Event{
		Sequence: number.Draw(t, "sequence"), Prefix: text.Draw(t, "prefix"), Reporter: text.Draw(t, "reporter"),
		Key: events.Key{Group: text.Draw(t, "group"), Resource: text.Draw(t, "resource"), Namespace: text.Draw(t, "namespace"), Name: text.Draw(t, "name")},
		ID:  text.Draw(t, "id"), Type: rapid.SampledFrom([]string{"created", "updated"}).Draw(t, "type"),
		Time:   time.Unix(int64(number.Draw(t, "time")), int64(number.Draw(t, "ns"))).UTC(),
		Source: text.Draw(t, "source"), Traceparent: text.Draw(t, "traceparent"), Actor: text.Draw(t, "actor"),
		Reason: text.Draw(t, "reason"), Note: text.Draw(t, "note"), Why: text.Draw(t, "why"), Verb: text.Draw(t, "verb"),
		Component: text.Draw(t, "component"), UID: text.Draw(t, "uid"), ContentType: text.Draw(t, "content"),
		IfVersion: number.Draw(t, "ifversion"), Epoch: number.Draw(t, "epoch"),
		Counter: events.Counter{Incarnation: number.Draw(t, "incarnation"), N: number.Draw(t, "n")},
		Cause:   rapid.SliceOfN(number, 0, 2).Draw(t, "cause"), Data: []byte(text.Draw(t, "data")),
	}
	if len(e.Cause) == 0 {
		e.Cause = nil
	}
	if len(e.Data) == 0 {
		e.Data = nil
	}
	return e
}

// Every field is in the encoding, and the encoding can be read back: so two
// different events never have the same one.
func TestCanonicalEncodingsAreOneToOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := someEvent(t)
		c := encoding{b: e.AppendCanonical(nil), ok: true}
		got := c.event()
		if !c.ok || len(c.b) > 0 || !reflect.DeepEqual(got, e) {
			t.Fatalf("got  %+v\nwant %+v", got, e)
		}
	})
	e := reflect.TypeFor[events.Event]()
	if n := e.NumField(); n != 23 {
		t.Errorf("Event has %d fields: is each new one in AppendCanonical? Only Stored is left out", n)
	}
}

func FuzzCanonicalEncodingsDiffer(f *testing.F) {
	f.Add("a", "bc", "d", []byte("e"), uint64(1), uint64(2))
	f.Fuzz(func(t *testing.T, note, reason, actor string, data []byte, sequence, cause uint64) {
		at := time.Unix(int64(cause%1e9), 0).UTC()
		e := &events.Event{Sequence: sequence, Type: "updated", Time: at, Note: note, Reason: reason, Actor: actor, Data: data, Cause: []uint64{cause}}
		shifted := *e
		shifted.Note, shifted.Reason = note+reason, ""
		if reason != "" && shifted.Digest() == e.Digest() {
			t.Error("a text may move from one field to another")
		}
		c := encoding{b: e.AppendCanonical(nil), ok: true}
		got := c.event()
		if !c.ok || len(c.b) > 0 || !bytes.Equal(got.Data, data) || got.Note != note || got.Reason != reason || got.Actor != actor || got.Sequence != sequence {
			t.Errorf("%+v", got)
		}
	})
}

// The digest survives the way over the bus, whatever else the message carries.
func TestDigestIsOfTheEventNotOfTheMessage(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := podLife()[rapid.IntRange(0, 4).Draw(t, "event")]
		e.ID, e.Note, e.Cause, e.Sequence = "01J", rapid.String().Draw(t, "note"), []uint64{3, 9}, 12
		header := maps.Clone(e.Header())
		header["Nats-Stream"], header["X-Other"] = []string{"LOG"}, []string{"1"}
		got, err := events.Parse(e.Subject(), header, e.Data)
		if err != nil {
			t.Fatal(err)
		}
		got.Sequence, got.Stored = 12, time.Now()
		if got.Digest() != e.Digest() {
			t.Errorf("%+v\n%+v", got, e)
		}
	})
}

func TestChainTellsOrder(t *testing.T) {
	var all []events.Digest
	for i, e := range podLife() {
		e.Sequence = uint64(i + 1)
		all = append(all, e.Digest())
	}
	seen := map[string]bool{}
	for _, order := range [][]int{{0, 1, 2}, {1, 0, 2}, {0, 2}, {0, 1}, {0, 1, 2, 3}} {
		var c events.Chain
		for _, i := range order {
			c = c.Next(all[i])
		}
		seen[fmt.Sprint(c)] = true
	}
	if len(seen) != 5 {
		t.Errorf("%d different chains, want 5", len(seen))
	}
}
