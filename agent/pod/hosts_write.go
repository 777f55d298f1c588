package pod

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	v1 "k8s.io/api/core/v1"
)

const maxHostname = 63

// Hostname is the name a pod has for itself, cut to what the kernel takes.
func Hostname(pod *v1.Pod) string {
	name := pod.Spec.Hostname
	if name == "" {
		name = pod.Name
	}
	if pod.Spec.SetHostnameAsFQDN != nil && *pod.Spec.SetHostnameAsFQDN && pod.Spec.Subdomain != "" {
		return name
	}
	if len(name) > maxHostname {
		name = strings.TrimRight(name[:maxHostname], "-.")
	}
	return name
}

// hostsFile gives the content of a pod's /etc/hosts.
func (h *Host) hostsFile(pod *v1.Pod, ips []string) (string, error) {
	var b strings.Builder
	if pod.Spec.HostNetwork {
		node, err := os.ReadFile("/etc/hosts")
		if err != nil {
			return "", err
		}
		b.Write(node)
	} else {
		b.WriteString("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n" +
			"fe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n")
		name := Hostname(pod)
		if pod.Spec.Subdomain != "" && h.DNS.Domain != "" {
			name = fmt.Sprintf("%s.%s.%s.svc.%s\t%s", name, pod.Spec.Subdomain, pod.Namespace, h.DNS.Domain, name)
		}
		for _, ip := range ips {
			fmt.Fprintf(&b, "%s\t%s\n", ip, name)
		}
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
