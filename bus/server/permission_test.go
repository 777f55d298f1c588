package server_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/bustest"
	"github.com/reckon-project/reckon/bus/server"
	"github.com/reckon-project/reckon/events"
)

const wait = 30 * time.Second

func contextFor(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	t.Cleanup(cancel)
	return ctx
}

// outside lets identities in with the password "right".
func outside(l server.Login) (string, error) {
	if l.Password != "right" {
		return "", errors.New("wrong password")
	}
	return l.User, nil
}

// The same rights in process and over TCP.
func TestNodePermissions(t *testing.T) {
	s := start(t, server.Options{Listen: "127.0.0.1:0", Authenticate: outside})
	admin := connect(t, s, "component:test")
	for name, open := range map[string]func() (bus.Bus, error){
		"in process": func() (bus.Bus, error) { return s.Connect("node:n1") },
		"over TCP": func() (bus.Bus, error) {
			return bus.Connect(contextFor(t), s.ClientURL(), bus.Credentials{Identity: "node:n1", Password: "right"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			node, err := open()
			if err != nil {
				t.Fatal(err)
			}
			defer node.Close()
			nodeMay(t, admin, node)
			nodeMayNot(t, admin, node)
		})
	}
}

func nodeMay(t *testing.T, admin, node bus.Bus) {
	ctx := contextFor(t)
	seq, err := node.Log().Append(ctx, bus.Entry{Event: bustest.Fact("n1", "a")})
	if err != nil {
		t.Fatal(err)
	}
	if _, last, err := admin.Log().Range(ctx); err != nil || last != seq {
		t.Errorf("the log ends at %d (%v), the fact is %d", last, err, seq)
	}
	if e, err := node.Log().Last(ctx, bustest.Fact("n1", "a").Subject()); err != nil || e.Sequence != seq {
		t.Errorf("a node's own last fact: %v", err)
	}
	beats := make(chan bus.Message, 1)
	sctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := admin.Subscribe(sctx, "beat.*", func(m bus.Message) { beats <- m }); err != nil {
		t.Fatal(err)
	}
	if err := node.Publish("beat.n1", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	<-beats
	for subject, ends := range map[string][2]bus.Bus{"tunnel.n1.conn": {admin, node}, "api.node:n1.conn": {node, admin}} {
		l, err := ends[1].Listen(sctx, subject)
		if err != nil {
			t.Fatal(err)
		}
		c, err := ends[0].Dial(ctx, subject)
		if err != nil {
			t.Fatal(err)
		}
		far, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		for _, pair := range [][2]interface {
			Read([]byte) (int, error)
			Write([]byte) (int, error)
		}{{c, far}, {far, c}} {
			if _, err := pair[0].Write([]byte("hello")); err != nil {
				t.Fatal(err)
			}
			b := make([]byte, 5)
			if n, err := pair[1].Read(b); err != nil || string(b[:n]) != "hello" {
				t.Fatalf("through %s came %q (%v)", subject, b[:n], err)
			}
		}
		c.Close()
		far.Close()
		l.Close()
	}
	for _, subject := range []string{"feed.n1.pods.default.a", "feed._.services.default.s", "feed.n2.pods.default.b"} {
		if err := admin.Feed().Put(ctx, subject, events.Header{"reckon-position": {"1"}}, []byte("1")); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]string{}
	for item, err := range node.Feed().Watch(sctx) {
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(item.Subject, "feed.n2.") {
			t.Fatalf("node n1 sees %s", item.Subject)
		}
		seen[item.Subject] = string(item.Data)
		if len(seen) == 2 && seen["feed.n1.pods.default.a"] == "1" {
			if err := admin.Feed().Put(ctx, "feed.n1.pods.default.a", nil, nil); err != nil {
				t.Fatal(err)
			}
		}
		if data, ok := seen["feed.n1.pods.default.a"]; ok && data == "" {
			break
		}
	}
}

func nodeMayNot(t *testing.T, admin, node bus.Bus) {
	ctx := contextFor(t)
	seq, err := admin.Log().Append(ctx, bus.Entry{Event: bustest.Decision("a")})
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	denied := func(what string, err error) {
		t.Helper()
		if d := (*bus.Denied)(nil); !errors.As(err, &d) || !errors.Is(err, events.ErrInvalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err = node.Log().Append(ctx, bus.Entry{Event: bustest.Decision("a")})
	denied("a decision", err)
	_, err = node.Log().Append(ctx, bus.Entry{Event: bustest.Fact("n2", "a")})
	denied("another node's fact", err)
	for _, err := range node.Log().Read(ctx, 0) {
		denied("read the log", err)
	}
	for _, err := range node.Log().Follow(ctx, 0, "fact.n1.>") {
		denied("follow the log", err)
		break
	}
	for _, filter := range []string{"feed.n2.>", "feed.>", "feed.*.pods.>", ">"} {
		for _, err := range node.Feed().Watch(ctx, filter) {
			denied("watch "+filter, err)
			break
		}
	}
	denied("put into the feed", node.Feed().Put(ctx, "feed.n1.pods.default.a", nil, []byte("1")))
	_, err = node.Listen(ctx, "tunnel.n2.conn")
	denied("listen for another node", err)
	_, err = node.Dial(ctx, "api.node:n2.conn")
	denied("call the API as another node", err)
	_, err = node.Dial(ctx, "tunnel.n2.conn")
	denied("dial another node", err)
	_, err = node.Request(ctx, "$JS.API.STREAM.INFO.LOG", nil, nil)
	denied("JetStream's API", err)
	denied("subscribe to the log", node.Subscribe(ctx, "log.>", func(bus.Message) {}))
	denied("subscribe to another's inbox", node.Subscribe(ctx, "_INBOX_component:test.>", func(bus.Message) {}))
	if _, err := node.Log().Last(ctx, bustest.Key("a").Subject()); err == nil {
		t.Error("a node reads decisions")
	}
	if _, err := node.Lead(ctx, "scheduler", "n1"); err == nil {
		t.Error("a node leads")
	}
	if took := time.Since(start); took > wait/2 {
		t.Errorf("refusals took %s: some timed out", took)
	}
	if _, last, err := admin.Log().Range(ctx); err != nil || last != seq {
		t.Errorf("the log grew to %d (%v) beyond %d", last, err, seq)
	}
}

func TestUnknownCredentials(t *testing.T) {
	s := start(t, server.Options{Listen: "127.0.0.1:0", Authenticate: outside})
	if _, err := bus.Connect(contextFor(t), s.ClientURL(), bus.Credentials{Identity: "node:n1", Password: "wrong"}); !errors.Is(err, events.ErrUnavailable) {
		t.Errorf("connected with a wrong password: %v", err)
	}
	if _, err := s.Connect("guest:x"); !errors.Is(err, events.ErrInvalid) {
		t.Errorf("connected with an unknown class: %v", err)
	}
}

func TestFolderInUse(t *testing.T) {
	dir := t.TempDir()
	start(t, server.Options{Dir: dir})
	if _, err := server.Start(server.Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "in use by another process") {
		t.Errorf("two servers in one folder: %v", err)
	}
}

func TestPortTaken(t *testing.T) {
	s := start(t, server.Options{Listen: "127.0.0.1:0", Authenticate: outside})
	address := strings.TrimPrefix(s.ClientURL(), "nats://")
	if _, err := server.Start(server.Options{Dir: t.TempDir(), Listen: address}); err == nil || !strings.Contains(err.Error(), "listen on "+address) {
		t.Errorf("a taken port: %v", err)
	}
}
