package proxy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/reckon-project/reckon/agent/network"
	"github.com/reckon-project/reckon/agent/network/netnstest"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// node is a node with its network and proxy, in namespaces.
type node struct {
	t     *testing.T
	ns    *netnstest.NS
	world *netnstest.NS // outside, at 192.0.2.2; the node is 192.0.2.1 there
	net   network.Network
	proxy *Proxy
	pods  int
}

func newNode(t *testing.T) *node {
	t.Helper()
	n := &node{t: t, ns: netnstest.New(t), world: netnstest.New(t)}
	netnstest.Connect(t, n.ns, n.world, netip.MustParsePrefix("192.0.2.1/24"), netip.MustParsePrefix("192.0.2.2/24"))
	n.world.Run(t, "ip", "route", "add", "default", "via", "192.0.2.1")
	dir := t.TempDir()
	n.ns.Must(t, func() (err error) {
		n.net, err = network.Setup(t.Context(), network.Options{Dir: dir})
		return err
	})
	var err error
	n.proxy, err = New(Options{
		Node: "n1", Dir: dir, ClusterCIDR: n.net.PodCIDR,
		ServiceCIDR: netip.MustParsePrefix("10.96.0.0/16"), Bridge: n.net.Bridge,
	})
	if err != nil {
		t.Fatal(err)
	}
	n.ns.Must(t, func() error { _, err := n.proxy.prepare(t.Context()); return err })
	return n
}

// sync brings the rules to what the proxy was told, as Run does.
func (n *node) sync() {
	n.t.Helper()
	n.ns.Must(n.t, func() error { return n.proxy.sync(n.t.Context()) })
}

// pod starts a pod that answers on TCP and UDP port 80 with its name and the
// address it was asked from.
type pod struct {
	name string
	ns   *netnstest.NS
	ip   string
}

func (n *node) pod(name string) pod {
	n.t.Helper()
	n.pods++
	p := pod{name: name, ns: netnstest.New(n.t)}
	ip := n.net.Gateway
	for range n.pods {
		ip = ip.Next()
	}
	p.ip = ip.String()
	netnstest.Attach(n.t, n.ns, n.net.Bridge, p.ns, netip.PrefixFrom(ip, n.net.PodCIDR.Bits()), n.net.Gateway)
	var l net.Listener
	var u net.PacketConn
	p.ns.Must(n.t, func() (err error) {
		if l, err = net.Listen("tcp4", ":80"); err == nil {
			u, err = net.ListenPacket("udp4", p.ip+":80")
		}
		return err
	})
	n.t.Cleanup(func() { l.Close(); u.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { // echoes lines behind its name and who asks
				defer c.Close()
				host, _, _ := net.SplitHostPort(c.RemoteAddr().String())
				r := bufio.NewReader(c)
				for {
					line, err := r.ReadString('\n')
					if err != nil {
						return
					}
					fmt.Fprintf(c, "%s %s %s", name, host, line)
				}
			}()
		}
	}()
	go func() {
		buf := make([]byte, 1500)
		for {
			_, from, err := u.ReadFrom(buf)
			if err != nil {
				return
			}
			u.WriteTo([]byte(name), from) //nolint:errcheck // the test sees that nothing comes
		}
	}()
	return p
}

func dial(t *testing.T, from *netnstest.NS, network, address string) (c net.Conn, err error) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	err = from.Do(func() error {
		c, err = (&net.Dialer{}).DialContext(ctx, network, address)
		return err
	})
	return c, err
}

// ask gives who answered, and from which address it was asked.
func ask(t *testing.T, from *netnstest.NS, address string) (who, source string) {
	t.Helper()
	c, err := dial(t, from, "tcp4", address)
	if err != nil {
		t.Fatalf("connect to %s: %v", address, err)
	}
	defer c.Close()
	return say(t, c)
}

func say(t *testing.T, c net.Conn) (who, source string) {
	t.Helper()
	if _, err := io.WriteString(c, "hello\n"); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(line)
	return fields[0], fields[1]
}

// everybody asks until a hundred answers came, and gives who answered how often.
func everybody(t *testing.T, from *netnstest.NS, address string) map[string]int {
	t.Helper()
	got := map[string]int{}
	for range 100 {
		who, _ := ask(t, from, address)
		got[who]++
	}
	return got
}

func refuses(t *testing.T, from *netnstest.NS, address string) {
	t.Helper()
	c, err := dial(t, from, "tcp4", address)
	if err == nil {
		c.Close()
	}
	var timeout net.Error
	if err == nil || (errors.As(err, &timeout) && timeout.Timeout()) {
		t.Errorf("connect to %s: got %v, want it refused at once", address, err)
	}
}

func service(name, ip string, change ...func(*corev1.Service)) *corev1.Service {
	s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"}}
	s.Spec.ClusterIP, s.Spec.ClusterIPs = ip, []string{ip}
	s.Spec.Ports = []corev1.ServicePort{{Name: "http", Protocol: corev1.ProtocolTCP, Port: 8080}}
	for _, c := range change {
		c(s)
	}
	return s
}

// at is an endpoint in a slice.
type at struct {
	ip                          string
	node                        string
	notReady, leaving, deafened bool
}

func slice(service string, protocol corev1.Protocol, endpoints ...at) *discoveryv1.EndpointSlice {
	name, port := "http", int32(80)
	s := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: service + "-1", Namespace: "default", Labels: map[string]string{discoveryv1.LabelServiceName: service}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: &name, Port: &port, Protocol: &protocol}},
	}
	for _, e := range endpoints {
		ready, serving := !e.notReady && !e.leaving, !e.notReady && !e.deafened
		if e.node == "" {
			e.node = "n1"
		}
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{
			Addresses: []string{e.ip}, NodeName: &e.node,
			Conditions: discoveryv1.EndpointConditions{Ready: &ready, Serving: &serving, Terminating: &e.leaving},
		})
	}
	return s
}

func (n *node) set(s *corev1.Service, sl *discoveryv1.EndpointSlice) {
	n.t.Helper()
	n.proxy.SetService(s.Namespace, s.Name, s)
	if sl != nil {
		n.proxy.SetSlice(sl.Namespace, sl.Name, sl)
	}
	n.sync()
}
