package server_test

import (
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/bustest"
	"github.com/reckon-project/reckon/bus/server"
)

// A node chooses the subject of an answer. None may come where the node itself
// may not publish: not into the log, the feed, the leases or JetStream's API.
func TestReplyGoesNowhereElse(t *testing.T) {
	s := start(t, server.Options{Listen: "127.0.0.1:0", Authenticate: outside})
	admin := connect(t, s, "component:test")
	first, err := admin.Log().Append(contextFor(t), bus.Entry{Event: bustest.Decision("a")})
	if err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect(s.ClientURL(), nats.UserInfo("node:n1", "right"), nats.CustomInboxPrefix("_INBOX_node:n1"))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	watcher, err := nats.Connect(s.ClientURL(), nats.UserInfo("component:watcher", "right"))
	if err != nil {
		t.Fatal(err)
	}
	defer watcher.Close()
	inbox := "_INBOX_component:test.x" // another's
	targets := []string{
		bustest.Decision("a").Subject(), "log.core.pods.default.new", bustest.Fact("n2", "a").Subject(),
		"lease.scheduler", "feed.n2.pods.default.a", "volatile.core.leases.default.a", "$JS.API.STREAM.PURGE.LOG", "api.node:n2.x", "beat.n2",
	}
	seen, err := watcher.SubscribeSync(">")
	if err != nil {
		t.Fatal(err)
	}
	if err := watcher.Flush(); err != nil {
		t.Fatal(err)
	}
	fact := bustest.Fact("n1", "a")
	header := nats.Header(fact.Header())
	if err := nc.PublishMsg(&nats.Msg{Subject: bus.PutSubject("node:n1", fact.Subject()), Reply: inbox, Header: header, Data: fact.Data}); err != nil {
		t.Fatal(err)
	}
	subjects := []string{
		fact.Subject(), bus.PutSubject("node:n1", fact.Subject()), "bus.durable", "read.node:n1.get.LOG", "read.node:n1.conn",
		"api.node:n1.anything", "beat.n1", "usage.n1",
	}
	for _, subject := range subjects {
		for _, reply := range targets {
			if err := nc.PublishMsg(&nats.Msg{Subject: subject, Reply: reply, Header: header, Data: fact.Data}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	// Answers that were due have come by the time that this is through as well.
	node, err := bus.Connect(contextFor(t), s.ClientURL(), bus.Credentials{Identity: "node:n1", Password: "right"})
	if err != nil {
		t.Fatal(err)
	}
	defer node.Close()
	seq, err := node.Log().Append(contextFor(t), bus.Entry{Event: bustest.Fact("n1", "last")})
	if err != nil {
		t.Fatal(err)
	}
	if err := watcher.Publish("end", nil); err != nil {
		t.Fatal(err)
	}
	for {
		m, err := seen.NextMsgWithContext(contextFor(t))
		if err != nil {
			t.Fatal(err)
		}
		if m.Subject == "end" {
			break
		}
		for _, target := range append(targets, inbox) {
			if m.Subject == target {
				t.Errorf("an answer came on %s: %q", target, m.Data)
			}
		}
	}
	from, to, err := admin.Log().Range(contextFor(t))
	if err != nil || from != first || to != seq {
		t.Errorf("the log has %d to %d (%v), want %d to %d", from, to, err, first, seq)
	}
	for e, err := range admin.Log().Read(contextFor(t), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Type == "" {
			t.Errorf("event %d on %s is none: %s", e.Sequence, e.Subject(), e.Note)
		}
	}
}
