package proxy

import (
	"flag"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var update = flag.Bool("update", false, "write testdata/rules.txt anew")

// TestRules shows the rules of each sort of service.
func TestRules(t *testing.T) {
	p, err := New(Options{Node: "n1", Dir: "/data", ClusterCIDR: netip.MustParsePrefix("10.42.0.0/16")})
	if err != nil {
		t.Fatal(err)
	}
	local := corev1.ServiceInternalTrafficPolicyLocal
	two := slice("web", tcp, at{ip: "10.42.0.5"}, at{ip: "10.42.1.5", node: "n2"})
	cases := []struct {
		name    string
		service *corev1.Service
		slice   *discoveryv1.EndpointSlice
	}{
		{"two endpoints, one of them on this node", service("web", "10.96.0.1"), two},
		{"no endpoint", service("web", "10.96.0.1", nodePort(30080)), nil},
		{"node port and external address", service("web", "10.96.0.1", nodePort(30080), func(s *corev1.Service) { s.Spec.ExternalIPs = []string{"203.0.113.5"} }), two},
		{"local traffic policies", service("web", "10.96.0.1", nodePort(30080), func(s *corev1.Service) {
			s.Spec.InternalTrafficPolicy, s.Spec.ExternalTrafficPolicy = &local, corev1.ServiceExternalTrafficPolicyLocal
		}), two},
		{"local traffic policies, nothing local", service("web", "10.96.0.1", nodePort(30080), func(s *corev1.Service) {
			s.Spec.InternalTrafficPolicy, s.Spec.ExternalTrafficPolicy = &local, corev1.ServiceExternalTrafficPolicyLocal
		}), slice("web", tcp, at{ip: "10.42.1.5", node: "n2"})},
		{"session affinity", service("web", "10.96.0.1", func(s *corev1.Service) { s.Spec.SessionAffinity = corev1.ServiceAffinityClientIP }), two},
		{"headless", service("web", corev1.ClusterIPNone), two},
		{"external name", service("web", "", func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeExternalName }), nil},
	}
	var out strings.Builder
	for _, c := range cases {
		fmt.Fprintf(&out, "# %s\n", c.name)
		of := map[string]*discoveryv1.EndpointSlice{}
		if c.slice != nil {
			of["web-1"] = c.slice
		}
		write(&out, p, p.render(c.service, of))
	}
	got := out.String()
	const file = "testdata/rules.txt"
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("rules differ (write them anew with -update)\n--- got\n%s--- want\n%s", got, want)
	}
}

func write(out *strings.Builder, p *Proxy, r *ruleset) {
	for _, shared := range []struct {
		chain string
		rules []string
	}{{p.names.services(), r.services}, {p.names.nodePorts(), r.nodePorts}, {p.names.hairpin(), r.hairpin}, {p.names.reject(), r.reject}, {p.names.nodeReject(), r.nodeReject}} {
		for _, rule := range shared.rules {
			fmt.Fprintf(out, "-A %s %s\n", shared.chain, rule)
		}
	}
	for _, chain := range slices.Sorted(maps.Keys(r.chains)) {
		for _, rule := range r.chains[chain] {
			fmt.Fprintf(out, "-A %s %s\n", chain, rule)
		}
	}
}

// FuzzRender: whatever a service and its endpoints say, nothing but addresses, numbers
// and names of objects gets into a rule: one rule stays one line without a quote of its own.
func FuzzRender(f *testing.F) {
	f.Add("10.96.0.1", "203.0.113.5", "10.42.0.5", "TCP", int32(80), int32(30080))
	f.Add("10.96.0.1\n-F", "x", "::1", "udp", int32(-1), int32(0))
	p, err := New(Options{Node: "n1", Dir: "/data"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, clusterIP, externalIP, endpoint, protocol string, port, nodePort int32) {
		s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "default"}}
		s.Spec.ClusterIP, s.Spec.ExternalIPs = clusterIP, []string{externalIP}
		s.Spec.Ports = []corev1.ServicePort{{Protocol: corev1.Protocol(protocol), Port: port, NodePort: nodePort, Name: "http"}}
		r := p.render(s, map[string]*discoveryv1.EndpointSlice{"a": slice("web", corev1.Protocol(protocol), at{ip: endpoint})})
		var out strings.Builder
		write(&out, p, r)
		for line := range strings.Lines(out.String()) {
			if !strings.HasPrefix(line, "-A RECKON-") || strings.Count(line, `"`)%2 != 0 {
				t.Errorf("not a rule: %q", line)
			}
		}
	})
}
