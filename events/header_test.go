package events_test

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/reckon-project/reckon/events"
)

func drawKey(t *rapid.T) events.Key {
	token := rapid.StringN(1, 20, 60)
	// "core" and "_" are written for an empty group and namespace.
	optional := rapid.StringN(0, 10, 40).Filter(func(s string) bool { return s != "core" && s != "_" })
	return events.Key{Group: optional.Draw(t, "group"), Resource: token.Draw(t, "resource"),
		Namespace: optional.Draw(t, "namespace"), Name: token.Draw(t, "name")}
}

func drawEvent(t *rapid.T) *events.Event {
	text, num := rapid.String(), rapid.Uint64()
	e := &events.Event{
		Prefix: rapid.SampledFrom([]string{events.PrefixDecision, events.PrefixFact, events.PrefixVolatile}).Draw(t, "prefix"),
		Key:    drawKey(t),
		ID:     text.Draw(t, "id"), Source: text.Draw(t, "source"), Type: rapid.SampledFrom([]string{events.Created, "never-seen"}).Draw(t, "type"),
		Time:        time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "s"), rapid.Int64Range(0, 999999999).Draw(t, "ns")).UTC(),
		Traceparent: text.Draw(t, "trace"), Actor: text.Draw(t, "actor"), Reason: text.Draw(t, "reason"), Note: text.Draw(t, "note"),
		Why: text.Draw(t, "why"), Verb: text.Draw(t, "verb"), IfVersion: num.Draw(t, "if"), Epoch: num.Draw(t, "epoch"), Component: text.Draw(t, "component"),
		UID: text.Draw(t, "uid"), Counter: events.Counter{Incarnation: num.Draw(t, "inc"), N: num.Draw(t, "n")},
		ContentType: rapid.SampledFrom([]string{"", events.ContentObject, events.ContentPatch}).Draw(t, "content"),
		Data:        []byte(text.Draw(t, "data")),
	}
	if e.Prefix == events.PrefixFact {
		e.Reporter = rapid.StringN(1, 10, 40).Draw(t, "reporter")
	}
	if n := rapid.IntRange(0, 3).Draw(t, "causes"); n > 0 {
		e.Cause = rapid.SliceOfN(num, n, n).Draw(t, "cause")
	}
	return e
}

func TestParseIsTheInverseOfHeader(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := drawEvent(t)
		h := e.Header()
		for k, v := range h {
			if len(v) != 1 || v[0] == "" || strings.ContainsFunc(k+v[0], func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
				t.Fatalf("header %q: %q can't travel", k, v)
			}
			if strings.HasPrefix(k, "ce-") && strings.ToLower(k) != k {
				t.Fatalf("%q is not lower case", k)
			}
		}
		got, err := events.Parse(e.Subject(), h, e.Data)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, e) {
			t.Fatalf("got  %+v\nwant %+v", got, e)
		}
	})
}

func TestSubjectsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := drawKey(t)
		got, err := events.ParseSubject(k.Subject())
		if err != nil || got.Key != k || got.Prefix != events.PrefixDecision {
			t.Fatalf("%q: %+v %v", k.Subject(), got, err)
		}
		if strings.ContainsAny(strings.ReplaceAll(k.Subject(), ".", ""), "*> \t\r\n\x00\x7f") {
			t.Fatalf("%q can't be published", k.Subject())
		}
	})
}

func TestSubjects(t *testing.T) {
	for want, got := range map[string]string{
		"log.core.configmaps.default.kube-root-ca%2Ecrt": events.Key{Resource: "configmaps", Namespace: "default", Name: "kube-root-ca.crt"}.Subject(),
		"log.apps.deployments.prod.web":                  events.Key{Group: "apps", Resource: "deployments", Namespace: "prod", Name: "web"}.Subject(),
		"fact.n3.core.pods.default.web-1":                events.Key{Resource: "pods", Namespace: "default", Name: "web-1"}.FactSubject("n3"),
		"volatile.coordination%2Ek8s%2Eio.leases._.x":    events.Key{Group: "coordination.k8s.io", Resource: "leases", Name: "x"}.VolatileSubject(),
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	for _, bad := range []string{"", "log", "log.core.pods.default", "log.core.pods.default.a.b", "beat.n1", "log.core.pods..a",
		"log.core.pods.default.%2e", "log.core.pods.default.%41", "log.core.pods.default.a b", "fact.core.pods.default.a", "log.core.pods.default.a.b.c.d.e"} {
		if s, err := events.ParseSubject(bad); err == nil {
			t.Errorf("%q parsed as %+v", bad, s)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	good := func() events.Header {
		return (&events.Event{Key: events.Key{Resource: "pods", Namespace: "a", Name: "b"}, Type: events.Updated}).Header()
	}
	const subject = "log.core.pods.a.b"
	for name, c := range map[string]struct{ header, value, subject string }{
		"no type":      {"ce-type", "", subject},
		"foreign type": {"ce-type", "com.example.thing", subject},
		"empty type":   {"ce-type", "dev.reckon.pods.", subject},
		"time":         {"ce-time", "yesterday", subject},
		"version":      {"If-Version", "x", subject},
		"epoch":        {"ce-epoch", "-1", subject},
		"counter":      {"ce-counter", "1", subject},
		"cause":        {"ce-cause", "1,,2", subject},
		"spec":         {"ce-specversion", "2.0", subject},
		"subject":      {"ce-id", "x", "log.core.pods.a"},
	} {
		t.Run(name, func(t *testing.T) {
			h := good()
			h[c.header] = []string{c.value}
			if _, err := events.Parse(c.subject, h, nil); !errors.Is(err, events.ErrInvalid) {
				t.Errorf("got %v", err)
			}
		})
	}
	h := good()
	h["ce-envelope"] = []string{"2"}
	var newer *events.NewerEnvelope
	if _, err := events.Parse(subject, h, nil); !errors.As(err, &newer) {
		t.Errorf("a newer envelope must stop the reader, got %v", err)
	}
}

func FuzzParseSubject(f *testing.F) {
	f.Add("log.core.pods.default.web-1")
	f.Add("fact.n%2E1.apps.deployments._.%25")
	f.Fuzz(func(t *testing.T, subject string) {
		s, err := events.ParseSubject(subject)
		if err != nil {
			return
		}
		e := events.Event{Prefix: s.Prefix, Reporter: s.Reporter, Key: s.Key}
		if e.Subject() != subject {
			t.Errorf("%q gives %+v, which is on %q", subject, s, e.Subject())
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add("log.core.pods.a.b", "ce-type", "dev.reckon.pods.created", "ce-note", "50%25 → x", []byte("{}"))
	f.Add("fact.n1.core.pods.a.b", "ce-type", "dev.reckon.pods.reported", "ce-counter", "1.2", []byte{})
	f.Fuzz(func(t *testing.T, subject, k1, v1, k2, v2 string, data []byte) {
		e, err := events.Parse(subject, events.Header{k1: {v1}, k2: {v2}}, data)
		if err != nil {
			return
		}
		again, err := events.Parse(e.Subject(), e.Header(), e.Data)
		if err != nil {
			t.Fatalf("%+v: %v", e, err)
		}
		if !again.Time.Equal(e.Time) || !bytes.Equal(again.Data, e.Data) {
			t.Fatalf("got  %+v\nwant %+v", again, e)
		}
		again.Time = e.Time
		if !reflect.DeepEqual(again, e) {
			t.Fatalf("got  %+v\nwant %+v", again, e)
		}
	})
}
