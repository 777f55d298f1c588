package feed

import (
	"testing"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
)

func TestTraceOutlivesAChangeOfLeader(t *testing.T) {
	s := NewStore(map[string]Known{"b": {Traceparent: "kept"}})
	apply := func(name, uid, cause, trace string) Origin {
		t.Helper()
		h := events.Header{"reckon-cause": {cause}}
		if trace != "" {
			h["reckon-traceparent"] = []string{trace}
		}
		change, err := s.Apply(bus.FeedItem{Subject: "feed.n1.pods.default." + name, Header: h, Data: []byte(`{"metadata":{"uid":"` + uid + `"}}`)})
		if err != nil {
			t.Fatal(err)
		}
		return change.Origin
	}
	for _, c := range []struct {
		name, uid, cause, trace string
		want                    Origin
	}{
		{"a", "a", "3", "placed", Origin{3, "placed"}},
		{"a", "a", "3", "", Origin{3, "placed"}},
		{"a", "a", "9", "deleted", Origin{9, "deleted"}},
		{"a", "other", "12", "", Origin{12, ""}},
		{"b", "b", "5", "", Origin{5, "kept"}},
	} {
		if got := apply(c.name, c.uid, c.cause, c.trace); got != c.want {
			t.Errorf("pod %s/%s at %s: %+v, not %+v", c.name, c.uid, c.cause, got, c.want)
		}
	}
}
