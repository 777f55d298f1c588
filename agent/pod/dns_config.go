package pod

import (
	"os"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// maxSearch are the limits of the resolver's search list that Kubernetes keeps.
const (
	maxSearch      = 32
	maxNameservers = 3
)

const nodeResolvConf = "/etc/resolv.conf"

// dnsConfig gives what a pod's resolv.conf says.
func (h *Host) dnsConfig(pod *v1.Pod) *cri.DNSConfig {
	spec := &pod.Spec
	node := readResolvConf(nodeResolvConf)
	config := &cri.DNSConfig{}
	policy := spec.DNSPolicy
	if policy == v1.DNSClusterFirst && spec.HostNetwork {
		policy = v1.DNSDefault
	}
	switch policy {
	case v1.DNSNone:
	case v1.DNSDefault:
		config = node
	default: // ClusterFirst, ClusterFirstWithHostNet
		if len(h.DNS.Servers) == 0 {
			config = node
			break
		}
		config.Servers = slices.Clone(h.DNS.Servers)
		if h.DNS.Domain != "" {
			config.Searches = []string{pod.Namespace + ".svc." + h.DNS.Domain, "svc." + h.DNS.Domain, h.DNS.Domain}
		}
		config.Searches = append(config.Searches, node.Searches...)
		config.Options = []string{"ndots:5"}
	}
	if c := spec.DNSConfig; c != nil {
		config.Servers = unique(append(config.Servers, c.Nameservers...))
		config.Searches = unique(append(config.Searches, c.Searches...))
		for _, o := range c.Options {
			text := o.Name
			config.Options = slices.DeleteFunc(config.Options, func(have string) bool {
				name, _, _ := strings.Cut(have, ":")
				return name == o.Name
			})
			if o.Value != nil && *o.Value != "" {
				text += ":" + *o.Value
			}
			config.Options = append(config.Options, text)
		}
	}
	config.Searches = config.Searches[:min(len(config.Searches), maxSearch)]
	config.Servers = config.Servers[:min(len(config.Servers), maxNameservers)]
	return config
}

func unique(list []string) []string {
	var out []string
	for _, s := range list {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// readResolvConf reads the node's own; one that can't be read says nothing.
func readResolvConf(path string) *cri.DNSConfig {
	out := &cri.DNSConfig{}
	data, err := os.ReadFile(path)
	if err != nil {
		return out
	}
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		switch fields[0] {
		case "nameserver":
			out.Servers = append(out.Servers, fields[1])
		case "search", "domain":
			out.Searches = fields[1:]
		case "options":
			out.Options = append(out.Options, fields[1:]...)
		}
	}
	return out
}
