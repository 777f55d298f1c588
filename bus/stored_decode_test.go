package bus

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/reckon-project/reckon/events"
)

// What is read from the files is what a consumer gives, whatever a header is like.
func TestStoredIsDecodedAsReceived(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	e := &events.Event{
		Prefix: events.PrefixFact, Reporter: "n1", Key: events.Key{Resource: "pods", Namespace: "default", Name: "a.b"},
		ID: "id", Source: "agent/n1", Type: events.Reported, Time: at, Traceparent: "00-1-2-01", Actor: "system:node:n1", Cause: []uint64{7, 9},
		Reason: "Started", Note: "50 % of it: ä\r\n", Why: `{"a":1}`, Verb: "patch/status", IfVersion: 3, Epoch: 4, Component: "agent",
		UID: "u", Counter: events.Counter{Incarnation: 5, N: 6}, ContentType: events.ContentPatch, Data: []byte(`{}`),
	}
	whole := "NATS/1.0\r\n"
	for name, values := range e.Header() {
		whole += name + ": " + values[0] + "\r\n"
	}
	var d storedDecoder
	for name, block := range map[string]string{
		"whole":            whole + "\r\n",
		"again":            whole + "ce-actor: somebody\r\n\r\n",
		"empty, then not":  "NATS/1.0\r\nce-reason:\r\nce-reason: Other\r\n" + strings.ReplaceAll(whole, "NATS/1.0\r\n", "") + "\r\n",
		"others among it":  whole + "Nats-Msg-Id:x\r\nNo-Value:\r\n\r\n",
		"stored elsewhere": whole + HeaderStored + ": 2020-01-02T03:04:05Z\r\n\r\n",
		"an expiry":        whole + markerReason + ": MaxAge\r\n\r\n",
		"no event":         "NATS/1.0\r\nce-id: x\r\n\r\n",
		"nothing":          "",
	} {
		t.Run(name, func(t *testing.T) {
			header, err := (&storedDecoder{}).parse([]byte(block))
			if err != nil {
				t.Fatal(err)
			}
			want, err := decode(e.Subject(), header, e.Data, 12, at)
			if err != nil {
				t.Fatal(err)
			}
			got, err := d.decode(Stored{Subject: []byte(e.Subject()), Header: []byte(block), Data: e.Data, Sequence: 12, Time: at})
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%+v (%v)\nwant %+v", got, err, want)
			}
		})
	}
}
