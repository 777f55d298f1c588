package server_test

import (
	"bytes"
	"context"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/binding/format"
	"github.com/cloudevents/sdk-go/v2/binding/spec"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/server"
	"github.com/reckon-project/reckon/events"
)

// natsMessage lets the CloudEvents SDK read a NATS message as the CloudEvents
// NATS protocol binding says: attributes in headers that begin with ce-,
// percent-encoded; the data's type in content-type.
type natsMessage struct{ jetstream.Msg }

var ceVersions = spec.WithPrefix("ce-")

func (m natsMessage) version() spec.Version {
	return ceVersions.Version(m.value("ce-specversion"))
}

// value is a header's; headers are matched without regard to case.
func (m natsMessage) value(name string) string {
	for k, v := range m.Headers() {
		if strings.EqualFold(k, name) && len(v) > 0 {
			if text, err := url.PathUnescape(v[0]); err == nil {
				return text
			}
		}
	}
	return ""
}

func (m natsMessage) ReadEncoding() binding.Encoding {
	switch {
	case format.IsFormat(m.value("content-type")):
		return binding.EncodingStructured
	case m.version() != nil:
		return binding.EncodingBinary
	}
	return binding.EncodingUnknown
}

func (m natsMessage) ReadStructured(context.Context, binding.StructuredWriter) error {
	return binding.ErrNotStructured
}

func (m natsMessage) ReadBinary(_ context.Context, w binding.BinaryWriter) error {
	version := m.version()
	for k := range m.Headers() {
		name := strings.ToLower(k)
		var err error
		switch attribute := version.Attribute(name); {
		case attribute != nil:
			err = w.SetAttribute(attribute, m.value(name))
		case name == "content-type":
			err = w.SetAttribute(version.AttributeFromKind(spec.DataContentType), m.value(name))
		case strings.HasPrefix(name, "ce-"):
			err = w.SetExtension(strings.TrimPrefix(name, "ce-"), m.value(name))
		}
		if err != nil {
			return err
		}
	}
	if len(m.Data()) == 0 {
		return nil
	}
	return w.SetData(bytes.NewReader(m.Data()))
}

func (m natsMessage) Finish(error) error { return nil }

func (m natsMessage) GetAttribute(k spec.Kind) (spec.Attribute, any) {
	attribute := m.version().AttributeFromKind(k)
	if attribute == nil {
		return nil, nil
	}
	if text := m.value(attribute.PrefixedName()); text != "" {
		return attribute, text
	}
	return attribute, nil
}

func (m natsMessage) GetExtension(name string) any { return m.value("ce-" + name) }

// Any CloudEvents consumer reads the log: here the CloudEvents SDK for Go.
func TestTheLogIsReadByTheCloudEventsSDK(t *testing.T) {
	s := start(t, server.Options{Listen: "127.0.0.1:0", Authenticate: func(l server.Login) (string, error) { return l.User, nil }})
	b := connect(t, s, "component:test")
	at := time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC)
	web := events.Key{Group: "apps", Resource: "deployments", Namespace: "prod", Name: "web"}
	pod := events.Key{Resource: "pods", Namespace: "prod", Name: "web-1"}
	script := []*events.Event{
		{Prefix: events.PrefixDecision, Key: web, Type: events.Created, Source: "gateway", Actor: "alice", Verb: "create",
			Traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", ContentType: events.ContentObject,
			Data: []byte(`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web","namespace":"prod"}}`)},
		{Prefix: events.PrefixDecision, Key: web, Type: events.Scaled, Source: "gateway", Actor: "Zoë \"the\" 100% admin", Verb: "patch/scale",
			Reason: "Scaled", Note: "replicas 3 → 5", Cause: []uint64{1}, IfVersion: 1, ContentType: events.ContentPatch, Data: []byte(`{"spec":{"replicas":5}}`)},
		{Prefix: events.PrefixDecision, Key: pod, Type: events.Scheduled, Source: "scheduler", Component: "scheduler", Epoch: 1, Cause: []uint64{1, 2},
			Note: "placed on n1", Why: `{"nodes":3}`, ContentType: events.ContentPatch, Data: []byte(`{"spec":{"nodeName":"n1"}}`)},
		{Prefix: events.PrefixFact, Reporter: "n1", Key: pod, Type: events.Reported, Source: "agent/n1", Reason: "ContainerStarted", UID: "u-1",
			Counter: events.Counter{Incarnation: 7, N: 8}, ContentType: events.ContentPatch, Data: []byte(`{"status":{"phase":"Running"}}`)},
		{Prefix: events.PrefixDecision, Key: pod, Type: events.Deleted, Source: "gateway", Actor: "alice", Verb: "delete"},
		bus.ElectedEvent("scheduler", "server-1", at),
	}
	for i, e := range script {
		e.Time = at.Add(time.Duration(i) * time.Second)
		if e.ID == "" {
			e.ID = bus.NewID()
		}
		if _, err := b.Log().Append(t.Context(), bus.Entry{Event: e}); err != nil {
			t.Fatal(err)
		}
	}

	nc, err := nats.Connect(s.ClientURL(), nats.UserInfo("component:reader", "x"))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	consumer, err := js.OrderedConsumer(t.Context(), bus.StreamLog, jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range script {
		m, err := consumer.Next()
		if err != nil {
			t.Fatal(err)
		}
		got, err := binding.ToEvent(t.Context(), natsMessage{m})
		if err != nil {
			t.Fatalf("event %d: %v", i+1, err)
		}
		if err := got.Validate(); err != nil {
			t.Errorf("event %d: %v", i+1, err)
		}
		if got.SpecVersion() != "1.0" || got.ID() != want.ID || got.Source() != want.Source || got.Type() != "dev.reckon."+want.Key.Resource+"."+want.Type ||
			got.Subject() != want.Key.String() || !got.Time().Equal(want.Time) || got.DataContentType() != want.ContentType || !bytes.Equal(got.Data(), want.Data) {
			t.Errorf("event %d is read as\n%s", i+1, got)
		}
		for name, text := range map[string]string{
			"actor": want.Actor, "verb": want.Verb, "reason": want.Reason, "note": want.Note, "why": want.Why,
			"traceparent": want.Traceparent, "component": want.Component, "uid": want.UID,
			"cause": []string{"", "", "1", "1,2", "", "", ""}[i+1], "epoch": []string{"", "", "", "1", "", "", ""}[i+1],
			"counter": []string{"", "", "", "", "7.8", "", ""}[i+1],
		} {
			if value, _ := got.Extensions()[name].(string); value != text {
				t.Errorf("event %d: extension %s is %q, want %q", i+1, name, value, text)
			}
		}
	}
}
