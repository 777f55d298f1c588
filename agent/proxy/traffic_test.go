package proxy

import (
	"net"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

const tcp = corev1.ProtocolTCP

func nodePort(n int32) func(*corev1.Service) {
	return func(s *corev1.Service) { s.Spec.Type, s.Spec.Ports[0].NodePort = corev1.ServiceTypeNodePort, n }
}

func TestServiceReachesItsEndpoints(t *testing.T) {
	n := newNode(t)
	a, b, client := n.pod("a"), n.pod("b"), n.pod("client")
	s := service("web", "10.96.0.10", nodePort(30080), func(s *corev1.Service) { s.Spec.ExternalIPs = []string{"203.0.113.5"} })
	n.set(s, slice("web", tcp, at{ip: a.ip}, at{ip: b.ip}))
	if got := everybody(t, client.ns, "10.96.0.10:8080"); got["a"] < 20 || got["b"] < 20 {
		t.Errorf("100 connections went to %v, want about half to each", got)
	}
	if _, from := ask(t, client.ns, "10.96.0.10:8080"); from != client.ip {
		t.Errorf("the endpoint saw %s, want the pod's own address %s", from, client.ip)
	}
	ask(t, n.ns, "10.96.0.10:8080")
	ask(t, n.ns, "127.0.0.1:30080")
	ask(t, n.ns, "192.0.2.1:30080")
	ask(t, client.ns, "192.0.2.1:30080")
	if _, from := ask(t, n.world, "192.0.2.1:30080"); from != n.net.Gateway.String() {
		t.Errorf("from outside the endpoint saw %s, want it masqueraded as %s", from, n.net.Gateway)
	}
	ask(t, n.world, "203.0.113.5:8080")
	ask(t, n.world, "10.96.0.10:8080")
}

func TestPodReachesItselfThroughItsService(t *testing.T) {
	n := newNode(t)
	a := n.pod("a")
	n.set(service("web", "10.96.0.10"), slice("web", tcp, at{ip: a.ip}))
	if who, _ := ask(t, a.ns, "10.96.0.10:8080"); who != "a" {
		t.Errorf("answered by %s", who)
	}
}

func TestServiceWithoutEndpointsRefuses(t *testing.T) {
	n := newNode(t)
	client := n.pod("client")
	s := service("web", "10.96.0.10", nodePort(30080))
	n.set(s, nil)
	for _, ns := range []struct {
		name string
		from pod
	}{{"pod", client}, {"node", pod{ns: n.ns}}} {
		refuses(t, ns.from.ns, "10.96.0.10:8080")
	}
	refuses(t, n.world, "192.0.2.1:30080")
	n.set(s, slice("web", tcp, at{ip: client.ip}))
	ask(t, n.ns, "10.96.0.10:8080")
	n.set(s, slice("web", tcp))
	refuses(t, client.ns, "10.96.0.10:8080")
	n.proxy.SetService("default", "web", nil)
	n.sync()
	if rules := n.ns.Run(t, "iptables-save"); strings.Contains(rules, "10.96.0.10") || strings.Contains(rules, n.proxy.names.own(kindEndpoint, "")[:18]) {
		t.Errorf("a deleted service left rules:\n%s", rules)
	}
}

func TestEndpointsThatLeaveGetNothingNew(t *testing.T) {
	n := newNode(t)
	a, b, client := n.pod("a"), n.pod("b"), n.pod("client")
	s := service("web", "10.96.0.10")
	n.set(s, slice("web", tcp, at{ip: a.ip}))
	kept, err := dial(t, client.ns, "tcp4", "10.96.0.10:8080")
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	n.set(s, slice("web", tcp, at{ip: a.ip, leaving: true}, at{ip: b.ip}))
	if got := everybody(t, client.ns, "10.96.0.10:8080"); got["b"] != 100 {
		t.Errorf("new connections went to %v, want all to b", got)
	}
	if who, _ := say(t, kept); who != "a" {
		t.Errorf("the connection that was open is answered by %q, want a", who)
	}
	n.set(s, slice("web", tcp, at{ip: a.ip, leaving: true}, at{ip: b.ip, notReady: true}))
	if who, _ := ask(t, client.ns, "10.96.0.10:8080"); who != "a" {
		t.Errorf("with none ready %q answers, want the one that still serves", who)
	}
	n.set(s, slice("web", tcp, at{ip: a.ip, leaving: true, deafened: true}, at{ip: b.ip, notReady: true}))
	refuses(t, client.ns, "10.96.0.10:8080")
}

func TestClientStaysWithItsEndpoint(t *testing.T) {
	n := newNode(t)
	a, b, client := n.pod("a"), n.pod("b"), n.pod("client")
	s := service("web", "10.96.0.10", func(s *corev1.Service) { s.Spec.SessionAffinity = corev1.ServiceAffinityClientIP })
	n.set(s, slice("web", tcp, at{ip: a.ip}, at{ip: b.ip}))
	if got := everybody(t, client.ns, "10.96.0.10:8080"); len(got) != 1 {
		t.Errorf("one client was answered by %v, want one endpoint", got)
	}
}

func TestLocalPolicies(t *testing.T) {
	n := newNode(t)
	a, b, client := n.pod("a"), n.pod("b"), n.pod("client")
	local := corev1.ServiceInternalTrafficPolicyLocal
	s := service("web", "10.96.0.10", nodePort(30080), func(s *corev1.Service) {
		s.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal
		s.Spec.InternalTrafficPolicy = &local
	})
	n.set(s, slice("web", tcp, at{ip: a.ip}, at{ip: b.ip, node: "n2"}))
	if got := everybody(t, client.ns, "10.96.0.10:8080"); got["a"] != 100 {
		t.Errorf("internal traffic went to %v, want all to a", got)
	}
	if got := everybody(t, n.world, "192.0.2.1:30080"); got["a"] != 100 {
		t.Errorf("external traffic went to %v, want all to a", got)
	}
	if _, from := ask(t, n.world, "192.0.2.1:30080"); from != "192.0.2.2" {
		t.Errorf("the endpoint saw %s, want the client's own address", from)
	}
	if got := everybody(t, client.ns, "192.0.2.1:30080"); got["a"] == 0 || got["b"] == 0 {
		t.Errorf("a pod at the node port reached %v, want both", got)
	}
}

func TestUDPClientMovesOn(t *testing.T) {
	n := newNode(t)
	a, b, client := n.pod("a"), n.pod("b"), n.pod("client")
	s := service("dns", "10.96.0.53", func(s *corev1.Service) { s.Spec.Ports[0].Protocol = corev1.ProtocolUDP })
	n.set(s, slice("dns", corev1.ProtocolUDP, at{ip: a.ip}))
	c, err := dial(t, client.ns, "udp4", "10.96.0.53:8080")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if who := datagram(t, c); who != "a" {
		t.Fatalf("answered by %q, want a", who)
	}
	n.set(s, slice("dns", corev1.ProtocolUDP, at{ip: b.ip}))
	if who := datagram(t, c); who != "b" {
		t.Errorf("the same socket is answered by %q after a left, want b", who)
	}
}

func datagram(t *testing.T, c net.Conn) string {
	t.Helper()
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if err := c.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	k, err := c.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:k])
}

func TestRefusedServiceHarmsNoOther(t *testing.T) {
	n := newNode(t)
	a := n.pod("a")
	n.proxy.SetService("default", "bad", service("bad", "10.96.0.66", func(s *corev1.Service) { s.Spec.Ports[0].Port = 99999 }))
	sl := slice("bad", tcp, at{ip: a.ip})
	n.proxy.SetSlice("default", sl.Name, sl)
	n.set(service("web", "10.96.0.10"), slice("web", tcp, at{ip: a.ip}))
	ask(t, n.ns, "10.96.0.10:8080")
	n.set(service("late", "10.96.0.11"), slice("late", tcp, at{ip: a.ip}))
	ask(t, n.ns, "10.96.0.11:8080")
	ask(t, n.ns, "10.96.0.10:8080")
}
