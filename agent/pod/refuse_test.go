package pod

import (
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
)

func TestWhatANodeRefuses(t *testing.T) {
	no := false
	strict := v1.SupplementalGroupsPolicyStrict
	sysctl := func(name string) v1.PodSpec {
		return v1.PodSpec{SecurityContext: &v1.PodSecurityContext{Sysctls: []v1.Sysctl{{Name: name}}}}
	}
	hostNetwork := sysctl("net.ipv4.tcp_syncookies")
	hostNetwork.HostNetwork = true
	for name, c := range map[string]struct {
		spec            v1.PodSpec
		reason, message string
	}{
		"nothing":      {spec: v1.PodSpec{OS: &v1.PodOS{Name: v1.Linux}}},
		"windows":      {v1.PodSpec{OS: &v1.PodOS{Name: v1.Windows}}, "PodOSNotSupported", "OS field"},
		"selector":     {v1.PodSpec{NodeSelector: map[string]string{"kubernetes.io/os": "windows"}}, "PodOSSelectorNodeLabelDoesNotMatch", "label"},
		"users":        {v1.PodSpec{HostUsers: &no}, "UnexpectedAdmissionError", "user namespaces"},
		"groups":       {v1.PodSpec{SecurityContext: &v1.PodSecurityContext{SupplementalGroupsPolicy: &strict}}, "SupplementalGroupsPolicyNotSupported", "SupplementalGroupsPolicy=Strict"},
		"safe":         {spec: sysctl("net/ipv4/tcp_syncookies")},
		"allowed":      {spec: sysctl("net.core.somaxconn")},
		"unsafe":       {sysctl("kernel.shmmax"), "SysctlForbidden", `"kernel.shmmax" not allowlisted`},
		"host network": {hostNetwork, "SysctlForbidden", `"net.ipv4.tcp_syncookies" not allowed with host net enabled`},
	} {
		h := &Host{OldRuntime: true, UnsafeSysctls: []string{"net.core.*"}}
		got := h.refuse(&v1.Pod{Spec: c.spec})
		if got == nil {
			got = &Refusal{}
		}
		if got.Reason != c.reason || !strings.Contains(got.Message, c.message) {
			t.Errorf("%s: refused for %+v", name, got)
		}
	}
}

func TestNames(t *testing.T) {
	h := &Host{DNS: DNS{Domain: "cluster.local"}}
	yes, other := true, "other.name"
	long := strings.Repeat("x", 62) + "-y"
	for _, c := range []struct {
		spec         v1.PodSpec
		name         string
		kernel, fail string
	}{
		{v1.PodSpec{}, "web", "web", ""},
		{v1.PodSpec{}, long, strings.Repeat("x", 62), ""},
		{v1.PodSpec{Hostname: "h", Subdomain: "s"}, "web", "h", ""},
		{v1.PodSpec{Hostname: "h", Subdomain: "s", SetHostnameAsFQDN: &yes}, "web", "h.s.d.svc.cluster.local", ""},
		{v1.PodSpec{Subdomain: "s", SetHostnameAsFQDN: &yes}, strings.Repeat("x", 50), "", "is too long (64 characters is the max, 72 characters requested)"},
		{v1.PodSpec{HostnameOverride: &other, Subdomain: "s"}, "web", "other.name", ""},
	} {
		p := &v1.Pod{Spec: c.spec}
		p.Name, p.Namespace = c.name, "d"
		got, err := h.kernelName(p)
		if got != c.kernel || (err != nil) != (c.fail != "") || err != nil && !strings.Contains(err.Error(), c.fail) {
			t.Errorf("%s: %q, %v", c.name, got, err)
		}
	}
}
