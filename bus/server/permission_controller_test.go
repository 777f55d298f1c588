package server_test

import (
	"errors"
	"testing"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/bustest"
	"github.com/reckon-project/reckon/bus/server"
)

// A custom controller speaks to the gateway as itself, and does nothing else.
func TestControllerPermissions(t *testing.T) {
	s := start(t, server.Options{Listen: "127.0.0.1:0", Authenticate: outside})
	admin := connect(t, s, "component:test")
	const me = "controller:default:web.v1"
	b, err := bus.Connect(contextFor(t), s.ClientURL(), bus.Credentials{Identity: me, Password: "right"})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	ctx := contextFor(t)
	const mine, others = "api.controller:default:web%2Ev1.", "api.controller:default:other."
	l, err := admin.Listen(ctx, "api.*.follow")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := b.Dial(ctx, mine+"follow")
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	denied := func(what string, err error) {
		t.Helper()
		if d := (*bus.Denied)(nil); !errors.As(err, &d) {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err = b.Dial(ctx, others+"follow")
	denied("speak as another", err)
	_, err = b.Request(ctx, others+"do", nil, nil)
	denied("ask as another", err)
	_, err = b.Request(ctx, "$JS.API.STREAM.INFO.LOG", nil, nil)
	denied("JetStream's API", err)
	_, err = b.Request(ctx, bus.PutSubject(me, "fact.n1.core.nodes._.n1"), nil, nil)
	denied("hand in a node's fact", err)
	_, err = b.Request(ctx, bus.PutSubject(me, "fact.web.core.nodes._.n1"), nil, nil)
	denied("hand in a fact beside the gateway", err)
	_, err = b.Log().Append(ctx, bus.Entry{Event: bustest.Decision("a")})
	denied("append", err)
	for _, err := range b.Log().Follow(ctx, 0) {
		denied("follow the whole log", err)
		break
	}
	for _, err := range b.Feed().Watch(ctx) {
		denied("watch the feed", err)
		break
	}
	denied("subscribe to the log", b.Subscribe(ctx, "log.>", func(bus.Message) {}))
	denied("listen for the API", b.Subscribe(ctx, "api.>", func(bus.Message) {}))
}
