package archive_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/reckon-project/reckon/bus/archive"
	"github.com/reckon-project/reckon/events"
)

// lab is another bus: a NATS server that knows nothing of this project.
func lab(t *testing.T) (string, jetstream.JetStream) {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(time.Minute) {
		t.Fatal("the NATS server doesn't start")
	}
	nc, err := nats.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return s.ClientURL(), js
}

func TestReplayOntoAnotherBus(t *testing.T) {
	url, js := lab(t)
	list := script(41, 2500)
	target, err := archive.OpenTarget(url, archive.TargetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	err = target.Publish(t.Context(), list[0])
	if err == nil {
		err = target.Flush(t.Context())
	}
	if !errors.Is(err, events.ErrInvalid) || !strings.Contains(err.Error(), "it needs one for the subjects log.> and fact.>") {
		t.Errorf("onto a bus without a stream: %v", err)
	}

	stream, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "LAB", Subjects: []string{"log.>", "fact.>"}})
	if err != nil {
		t.Fatal(err)
	}
	again, err := archive.OpenTarget(url, archive.TargetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	for _, e := range list {
		if err := again.Publish(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	if err := again.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	info, err := stream.Info(t.Context())
	if err != nil || info.State.Msgs != uint64(len(list)) {
		t.Fatalf("%d messages arrived (%v), want %d", info.State.Msgs, err, len(list))
	}
	m, err := stream.GetMsg(t.Context(), 2500)
	if err != nil {
		t.Fatal(err)
	}
	want := list[2499]
	if m.Subject != want.Subject() || string(m.Data) != string(want.Data) || m.Header["ce-sequence"][0] != "2540" || m.Header["ce-id"][0] != want.ID {
		t.Errorf("the last message is %s %v %s", m.Subject, m.Header, m.Data)
	}
	if _, err := archive.OpenTarget("nats://127.0.0.1:1", archive.TargetOptions{}); !errors.Is(err, events.ErrUnavailable) {
		t.Errorf("nobody there: %v", err)
	}
}
