package pod

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	v1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/events"
)

const (
	maxHostname = 63
	maxFullName = 64
)

// names are the name that a pod has for itself, cut to what the kernel takes, and the domain
// it is in ("": none).
func (h *Host) names(pod *v1.Pod) (hostname, domain string) {
	hostname = pod.Name
	switch {
	case pod.Spec.HostnameOverride != nil:
		return cut(*pod.Spec.HostnameOverride), ""
	case pod.Spec.Hostname != "":
		hostname = pod.Spec.Hostname
	}
	if pod.Spec.Subdomain != "" {
		domain = pod.Spec.Subdomain + "." + pod.Namespace + ".svc." + h.DNS.Domain
	}
	return cut(hostname), domain
}

func cut(name string) string {
	if len(name) > maxHostname {
		return strings.TrimRight(name[:maxHostname], "-.")
	}
	return name
}

// kernelName is what the kernel calls the pod's machine.
func (h *Host) kernelName(pod *v1.Pod) (string, error) {
	name, domain := h.names(pod)
	if domain == "" || !isTrue(pod.Spec.SetHostnameAsFQDN) {
		return name, nil
	}
	full := name + "." + domain
	if len(full) > maxFullName {
		return "", fmt.Errorf("%w: failed to construct FQDN from pod hostname and cluster domain, FQDN %s is too long (%d characters is the max, %d characters requested)",
			events.ErrInvalid, full, maxFullName, len(full))
	}
	return full, nil
}

// hostsFile gives the content of a pod's /etc/hosts.
func (h *Host) hostsFile(pod *v1.Pod, ips []string) (string, error) {
	var b strings.Builder
	if pod.Spec.HostNetwork {
		node, err := os.ReadFile("/etc/hosts")
		if err != nil {
			return "", err
		}
		b.WriteString("# Kubernetes-managed hosts file (host network).\n")
		b.Write(node)
	} else {
		b.WriteString("# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n" +
			"fe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n")
		name, domain := h.names(pod)
		if domain != "" {
			name = name + "." + domain + "\t" + name
		}
		for _, ip := range ips {
			fmt.Fprintf(&b, "%s\t%s\n", ip, name)
		}
	}
	if len(pod.Spec.HostAliases) > 0 {
		b.WriteString("\n# Entries added by HostAliases.\n")
	}
	for _, alias := range pod.Spec.HostAliases {
		fmt.Fprintf(&b, "%s\t%s\n", alias.IP, strings.Join(alias.Hostnames, "\t"))
	}
	return b.String(), nil
}

// writeHosts writes the pod's /etc/hosts and gives its path.
func (h *Host) writeHosts(pod *v1.Pod, ips []string) (string, error) {
	text, err := h.hostsFile(pod, ips)
	if err != nil {
		return "", fmt.Errorf("make the hosts file: %w", err)
	}
	path := filepath.Join(filesDir(h.Dir, string(pod.UID)), "etc-hosts")
	if have, err := os.ReadFile(path); err == nil && string(have) == text {
		return path, nil
	}
	return path, os.WriteFile(path, []byte(text), 0o644)
}
