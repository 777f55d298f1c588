package proxy

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// mark is the packet mark bit for "masquerade this on its way out".
const mark = "0x20000/0x20000"

const toMasquerade = "-j MARK --set-xmark " + mark

// ruleset is all rules of one service.
type ruleset struct {
	chains map[string][]string // nat: its own chains and their rules
	// Rules in the shared chains.
	services, nodePorts []string // nat
	hairpin             []string // nat: pods of this node that may reach themselves
	reject, nodeReject  []string // filter
	flows               []flow   // what conntrack may remember
}

// render writes a service's rules. It is pure. s nil gives no rules.
func (p *Proxy) render(s *corev1.Service, of map[string]*discoveryv1.EndpointSlice) *ruleset {
	r := &ruleset{chains: map[string][]string{}}
	if s == nil || s.Spec.Type == corev1.ServiceTypeExternalName || len(clusterIPs(s)) == 0 {
		return r
	}
	for i := range s.Spec.Ports {
		port := &s.Spec.Ports[i]
		switch protocolOf(port) {
		case corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP:
		default:
			continue // never write into a rule what isn't one of these
		}
		w := portWriter{
			ruleset: r, names: p.names, service: s, port: port,
			id:      fmt.Sprintf("%s/%s:%s/%d/%s", s.Namespace, s.Name, port.Name, port.Port, protocolOf(port)),
			cluster: p.options.ClusterCIDR,
			all:     endpointsOf(port, of, p.options.Node),
		}
		w.write()
	}
	return r
}

// clusterIPs are the service's IPv4 addresses within the cluster; none for a headless one.
func clusterIPs(s *corev1.Service) []string {
	return onlyIPv4(slices.Concat([]string{s.Spec.ClusterIP}, s.Spec.ClusterIPs))
}

// externalIPs are the addresses under which it is reached from outside.
func externalIPs(s *corev1.Service) []string {
	ips := slices.Clone(s.Spec.ExternalIPs)
	for _, in := range s.Status.LoadBalancer.Ingress {
		if in.IPMode == nil || *in.IPMode == corev1.LoadBalancerIPModeVIP {
			ips = append(ips, in.IP)
		}
	}
	return onlyIPv4(ips)
}

// onlyIPv4 keeps each IPv4 address once. What isn't an address never gets into a rule.
func onlyIPv4(ips []string) []string {
	var out []string
	seen := map[netip.Addr]bool{}
	for _, ip := range ips {
		if a, err := netip.ParseAddr(ip); err == nil && a.Is4() && !seen[a] {
			seen[a] = true
			out = append(out, a.String())
		}
	}
	return out
}

// portWriter writes the rules of one port of one service.
type portWriter struct {
	*ruleset
	names   names
	service *corev1.Service
	port    *corev1.ServicePort
	id      string
	cluster netip.Prefix
	all     []endpoint
}

func (w *portWriter) write() {
	local := localOnly(w.all)
	if len(w.all) > 0 {
		w.balance(kindService, w.all)
	}
	spec := &w.service.Spec
	internalLocal := spec.InternalTrafficPolicy != nil && *spec.InternalTrafficPolicy == corev1.ServiceInternalTrafficPolicyLocal
	external := externalIPs(w.service)
	fromOutside := w.port.NodePort != 0 || len(external) > 0
	externalLocal := fromOutside && spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal
	if (internalLocal || externalLocal) && len(local) > 0 {
		w.balance(kindLocal, local)
	}
	for _, ip := range clusterIPs(w.service) {
		switch {
		case len(w.all) == 0:
			w.refuse(ip, w.rejection())
		case internalLocal && len(local) == 0:
			w.refuse(ip, "DROP")
		case internalLocal:
			w.dispatch(ip, kindLocal)
		default:
			w.dispatch(ip, kindService)
		}
		w.flow(ip, w.port.Port)
	}
	if !fromOutside {
		return
	}
	if len(w.all) > 0 {
		w.external(externalLocal, len(local) > 0)
	}
	for _, ip := range external {
		if len(w.all) == 0 {
			w.refuse(ip, w.rejection())
		} else {
			w.dispatch(ip, kindExternal)
		}
		w.flow(ip, w.port.Port)
	}
	if n := w.port.NodePort; n != 0 {
		rule := w.match(n) + w.comment()
		switch {
		case len(w.all) == 0:
			w.nodeReject = append(w.nodeReject, "-m addrtype --dst-type LOCAL "+rule+" -j "+w.rejection())
		case externalLocal && len(local) == 0:
			w.nodeReject = append(w.nodeReject, "-m addrtype --dst-type LOCAL ! --src-type LOCAL "+rule+" -j DROP")
			fallthrough
		default:
			w.nodePorts = append(w.nodePorts, rule+" -j "+w.chain(kindExternal))
		}
		w.flow("", n)
	}
}

func (w *portWriter) chain(kind string) string { return w.names.own(kind, w.id) }

func (w *portWriter) protocol() string { return strings.ToLower(string(protocolOf(w.port))) }

// match is the part of a rule that finds packets to a port.
func (w *portWriter) match(port int32) string {
	p := w.protocol()
	return "-p " + p + " -m " + p + " --dport " + strconv.Itoa(int(port))
}

// comment says in a shared chain whose rule it is. Names of services and ports are
// DNS labels: there is nothing to escape.
func (w *portWriter) comment() string {
	name := w.service.Namespace + "/" + w.service.Name
	if w.port.Name != "" {
		name += ":" + w.port.Name
	}
	return ` -m comment --comment "` + name + `"`
}

func (w *portWriter) dispatch(ip, kind string) {
	w.services = append(w.services, "-d "+ip+"/32 "+w.match(w.port.Port)+w.comment()+" -j "+w.chain(kind))
}

// rejection tells the client at once. A reset, not ICMP, for TCP: the kernel
// limits the rate of ICMP, and spends it on redirects, since the route to
// services goes back over the bridge.
func (w *portWriter) rejection() string {
	if protocolOf(w.port) == corev1.ProtocolTCP {
		return "REJECT --reject-with tcp-reset"
	}
	return "REJECT"
}

func (w *portWriter) refuse(ip, how string) {
	w.reject = append(w.reject, "-d "+ip+"/32 "+w.match(w.port.Port)+w.comment()+" -j "+how)
}

// external writes the chain for what comes from outside: masqueraded, so that
// answers come back through this node, unless it stays on the node.
func (w *portWriter) external(localPolicy, hasLocal bool) {
	name, service := w.chain(kindExternal), " -j "+w.chain(kindService)
	if !localPolicy {
		w.chains[name] = []string{toMasquerade, strings.TrimSpace(service)}
		return
	}
	var rules []string
	if w.cluster.IsValid() {
		rules = append(rules, "-s "+w.cluster.String()+service)
	}
	rules = append(rules, "-m addrtype --src-type LOCAL "+toMasquerade, "-m addrtype --src-type LOCAL"+service)
	if hasLocal {
		rules = append(rules, "-j "+w.chain(kindLocal))
	}
	w.chains[name] = rules
}

// balance writes a chain that chooses among endpoints.
func (w *portWriter) balance(kind string, to []endpoint) {
	var rules []string
	if kind == kindService && w.cluster.IsValid() {
		for _, ip := range clusterIPs(w.service) {
			rules = append(rules, "! -s "+w.cluster.String()+" -d "+ip+"/32 "+toMasquerade)
		}
	}
	targets := make([]string, len(to))
	sticky := stickySeconds(w.service)
	for i, e := range to {
		targets[i] = "-p " + w.protocol() + " %s-j DNAT --to-destination " + e.addr.String()
		if sticky > 0 {
			name := w.names.own(kindEndpoint, w.id+"/"+e.addr.String())
			rules = append(rules, fmt.Sprintf("-m recent --name %s --rcheck --seconds %d --reap -j %s", name, sticky, name))
			w.chains[name] = []string{fmt.Sprintf(targets[i], "-m recent --name "+name+" --set ")}
			targets[i] = "%s-j " + name
		}
		if e.local {
			ip := e.addr.Addr().String() + "/32"
			w.hairpin = append(w.hairpin, "-s "+ip+" -d "+ip+" -j MASQUERADE --random-fully")
		}
	}
	for i, target := range targets {
		chance := ""
		if left := len(targets) - i; left > 1 {
			chance = "-m statistic --mode random --probability " + strconv.FormatFloat(1/float64(left), 'f', 10, 64) + " "
		}
		rules = append(rules, fmt.Sprintf(target, chance))
	}
	w.chains[w.chain(kind)] = rules
}

// stickySeconds is how long a client stays with its endpoint, 0 for not at all.
func stickySeconds(s *corev1.Service) int32 {
	if s.Spec.SessionAffinity != corev1.ServiceAffinityClientIP {
		return 0
	}
	if c := s.Spec.SessionAffinityConfig; c != nil && c.ClientIP != nil && c.ClientIP.TimeoutSeconds != nil {
		return *c.ClientIP.TimeoutSeconds
	}
	return corev1.DefaultClientIPServiceAffinitySeconds
}
