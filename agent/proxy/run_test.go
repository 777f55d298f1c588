package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/reckon-project/reckon/agent/network"
	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/memory"
	"github.com/reckon-project/reckon/events"
)

// run runs the node's proxy from a feed; stop ends it, the rules stay.
func (n *node) run(feed bus.Feed) (stop func()) {
	ctx, cancel := context.WithCancel(n.t.Context())
	var group sync.WaitGroup
	for _, f := range []func() error{
		func() error { return n.proxy.Follow(ctx, feed) },
		func() error { return n.ns.Do(func() error { return n.proxy.Run(ctx) }) },
	} {
		group.Go(func() {
			if err := f(); !errors.Is(err, context.Canceled) {
				n.t.Errorf("stopped: %v", err)
			}
		})
	}
	return func() { cancel(); group.Wait() }
}

// put publishes an object as the node feed does; nil is a tombstone.
func put(t *testing.T, feed bus.Feed, subject string, position string, object any) {
	t.Helper()
	var data []byte
	if object != nil {
		var err error
		if data, err = json.Marshal(object); err != nil {
			t.Fatal(err)
		}
	}
	if err := feed.Put(t.Context(), subject, events.Header{"reckon-position": {position}, "reckon-epoch": {"1"}}, data); err != nil {
		t.Fatal(err)
	}
}

// until dials until what is wanted holds; the test's deadline is the limit.
func (n *node) until(what string, holds func() bool) {
	n.t.Helper()
	for !holds() {
		if err := n.t.Context().Err(); err != nil {
			n.t.Fatalf("%s never held", what)
		}
	}
}

func (n *node) answered(p pod, address string) bool {
	ctx, cancel := context.WithTimeout(n.t.Context(), 300*time.Millisecond) // until there are rules, nobody answers
	defer cancel()
	return p.ns.Do(func() error {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp4", address)
		if err != nil {
			return err
		}
		return c.Close()
	}) == nil
}

func TestRulesFollowTheFeed(t *testing.T) {
	n := newNode(t)
	a, client := n.pod("a"), n.pod("client")
	feed := memory.New(time.Now).Feed()
	stop := n.run(feed)
	put(t, feed, "feed._.services.default.web", "5", service("web", "10.96.0.10"))
	put(t, feed, "feed._.endpointslices.default.web-1", "6", slice("web", tcp, at{ip: a.ip}))
	n.until("web answers", func() bool { return n.answered(client, "10.96.0.10:8080") })
	put(t, feed, "feed._.services.default.old", "4", service("old", "10.96.0.11"))
	put(t, feed, "feed._.endpointslices.default.old-1", "4", slice("old", tcp, at{ip: a.ip}))
	n.until("old answers", func() bool { return n.answered(client, "10.96.0.11:8080") })
	// What is older than what was seen changes nothing.
	put(t, feed, "feed._.services.default.web", "3", nil)
	put(t, feed, "feed._.services.default.old", "7", nil)
	n.until("old is gone", func() bool { return !strings.Contains(n.ns.Run(t, "iptables-save"), "10.96.0.11") })
	ask(t, client.ns, "10.96.0.10:8080")
	stop()
	ask(t, client.ns, "10.96.0.10:8080") // the rules stay

	// A new start with an empty feed interrupts nothing until it is complete.
	before := ownChains(n)
	again, err := New(n.proxy.options)
	if err != nil {
		t.Fatal(err)
	}
	n.proxy = again
	empty := memory.New(time.Now).Feed()
	defer n.run(empty)()
	put(t, empty, "feed._.services.default.new", "8", service("new", "10.96.0.12"))
	ask(t, client.ns, "10.96.0.10:8080")
	if now := ownChains(n); now != before {
		t.Errorf("chains changed before all was known: %s, were %s", now, before)
	}
	put(t, empty, "feed._.services.default.lost", "7", service("lost", "10.96.0.13")) // its tombstone was never put
	put(t, empty, "feed._.manifest._._", "8", map[string]any{"position": 8, "keys": []string{"services/default/new"}})
	n.until("what is in no feed is gone", func() bool { return !strings.Contains(n.ns.Run(t, "iptables-save"), "10.96.0.10") })
	n.until("new is there", func() bool { return strings.Contains(n.ns.Run(t, "iptables-save"), "10.96.0.12") })
	if strings.Contains(n.ns.Run(t, "iptables-save"), "10.96.0.13") {
		t.Error("a service that the manifest doesn't name is still there")
	}
	if left := ownChains(n); left != "" {
		t.Errorf("left of services that are gone: %s", left)
	}
}

func ownChains(n *node) string {
	var own []string
	for line := range strings.Lines(n.ns.Run(n.t, "iptables-save", "-t", "nat")) {
		if name, _, _ := strings.Cut(strings.TrimPrefix(line, ":"), " "); line[0] == ':' && n.proxy.names.isOwn(name) {
			own = append(own, name)
		}
	}
	return strings.Join(own, " ")
}

func TestCleanupLeavesNothing(t *testing.T) {
	n := newNode(t)
	a := n.pod("a")
	n.set(service("web", "10.96.0.10", nodePort(30080)), slice("web", tcp, at{ip: a.ip}))
	n.ns.Must(t, func() error { return n.proxy.Cleanup(t.Context()) })
	n.ns.Must(t, func() error { return n.proxy.Cleanup(t.Context()) }) // nothing there is no error
	rules := n.ns.Run(t, "iptables-save") + n.ns.Run(t, "ip", "route")
	for _, left := range []string{"RECKON-V", "RECKON-E", "RECKON-S", "RECKON-N", "RECKON-POST", "RECKON-PROXY", "RECKON-REJ", "10.96."} {
		if strings.Contains(rules, left) {
			t.Errorf("Cleanup left %s:\n%s", left, rules)
		}
	}
}

func TestFlushedRulesComeBack(t *testing.T) {
	n := newNode(t)
	a := n.pod("a")
	n.set(service("web", "10.96.0.10"), slice("web", tcp, at{ip: a.ip}))
	n.ns.Run(t, "iptables", "-t", "nat", "-F")
	n.ns.Run(t, "iptables", "-t", "nat", "-X")
	n.ns.Must(t, func() error {
		n.proxy.check(t.Context())
		return n.proxy.sync(t.Context())
	})
	ask(t, n.ns, "10.96.0.10:8080")
	// Chains that vanish between two looks are made again by the retry.
	n.ns.Run(t, "iptables", "-t", "nat", "-F")
	n.ns.Run(t, "iptables", "-t", "nat", "-X")
	n.proxy.SetService("default", "web", service("web", "10.96.0.12"))
	n.ns.Must(t, func() error {
		if err := n.proxy.sync(t.Context()); err == nil {
			return nil
		}
		return n.proxy.sync(t.Context())
	})
	ask(t, n.ns, "10.96.0.12:8080")
}

func TestTwoProxiesInOneNamespace(t *testing.T) {
	n := newNode(t)
	a := n.pod("a")
	n.set(service("web", "10.96.0.10"), slice("web", tcp, at{ip: a.ip}))
	dir := t.TempDir()
	o := network.Options{Dir: dir}
	n.ns.Must(t, func() error { _, err := network.Setup(t.Context(), o); return err })
	other, err := New(Options{Node: "n2", Dir: dir, ClusterCIDR: netip.MustParsePrefix("10.43.0.0/16")})
	if err != nil {
		t.Fatal(err)
	}
	n.ns.Must(t, func() error {
		_, err := other.prepare(t.Context())
		return errors.Join(err, other.sync(t.Context()), other.Cleanup(t.Context()), network.Teardown(t.Context(), o))
	})
	ask(t, n.ns, "10.96.0.10:8080")
}

// TestRollingUpdateFailsNothing changes endpoints under constant load: whoever
// leaves still serves until its rules are gone.
func TestRollingUpdateFailsNothing(t *testing.T) {
	n := newNode(t)
	a, b, client := n.pod("a"), n.pod("b"), n.pod("client")
	feed := memory.New(time.Now).Feed()
	defer n.run(feed)()
	put(t, feed, "feed._.services.default.web", "1", service("web", "10.96.0.10"))
	put(t, feed, "feed._.endpointslices.default.web-1", "1", slice("web", tcp, at{ip: a.ip}))
	n.until("web answers", func() bool { return n.answered(client, "10.96.0.10:8080") })
	steps := [][]at{
		{{ip: a.ip}, {ip: b.ip, notReady: true}}, {{ip: a.ip}, {ip: b.ip}}, {{ip: a.ip, leaving: true}, {ip: b.ip}}, {{ip: b.ip}},
		{{ip: b.ip}, {ip: a.ip, notReady: true}}, {{ip: b.ip}, {ip: a.ip}}, {{ip: b.ip, leaving: true}, {ip: a.ip}}, {{ip: a.ip}},
	}
	for i := range 40 {
		put(t, feed, "feed._.endpointslices.default.web-1", strconv.Itoa(i+2), slice("web", tcp, steps[i%len(steps)]...))
		for range 50 {
			ask(t, client.ns, "10.96.0.10:8080") // fails the test if it isn't answered
		}
	}
	n.until("the last change holds", func() bool { return everybody(t, client.ns, "10.96.0.10:8080")["a"] == 100 })
}
