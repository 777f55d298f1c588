package archive

import (
	"math"
	"testing"
	"time"

	"github.com/reckon-project/reckon/events"
)

// FuzzRecords reads frame contents whose checksum happens to be right.
func FuzzRecords(f *testing.F) {
	e := &events.Event{
		Sequence: 1, Stored: time.Unix(1, 0), Prefix: events.PrefixFact, Reporter: "n1",
		Key: events.Key{Resource: "pods", Namespace: "a", Name: "b"}, ID: "1", Type: events.Reported, Data: []byte("{}"),
	}
	var content []byte
	var before place
	for _, kind := range []string{events.Reported, ""} {
		e.Type = kind
		var err error
		if content, err = appendRecord(content, &before, e); err != nil {
			f.Fatal(err)
		}
		e.Sequence++
	}
	f.Add(content)
	f.Fuzz(func(t *testing.T, content []byte) {
		x := frame{First: 1, Last: 2, Count: 2}
		list, err := x.events(content, 0, math.MaxUint64, nil)
		if err == nil && len(list) != 2 {
			t.Errorf("%d events, want 2", len(list))
		}
	})
}
