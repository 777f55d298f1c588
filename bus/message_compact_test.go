package bus

import (
	"reflect"
	"strings"
	"testing"
	"unsafe"

	"github.com/reckon-project/reckon/events"
)

// An event that is kept holds nothing of its message, and shares what it repeats.
func TestCompactEventsShareWhatTheyRepeat(t *testing.T) {
	message := strings.Repeat("x", 1<<16) + "system:node:n1"
	actor := func() string { return message[1<<16:] }
	c := newCompactor()
	var kept []*events.Event
	for range 2 {
		data := []byte(message)[:5]
		e := &events.Event{
			Prefix: events.PrefixFact, Key: events.Key{Resource: "pods", Namespace: "default", Name: "a"}, ID: "id", Actor: actor(),
			Note: strings.Repeat("long ", maxShared), Cause: []uint64{1}, Data: data,
		}
		want := *e
		c.compact(e)
		if !reflect.DeepEqual(*e, want) {
			t.Errorf("%+v\nwant %+v", *e, want)
		}
		if unsafe.StringData(e.Actor) == unsafe.StringData(actor()) || &e.Data[0] == &data[0] {
			t.Error("it holds its message")
		}
		kept = append(kept, e)
	}
	if unsafe.StringData(kept[0].Actor) != unsafe.StringData(kept[1].Actor) {
		t.Error("the actor is there twice")
	}
}
