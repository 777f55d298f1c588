package pod

import (
	"fmt"
	"os"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
)

// safeSysctls are those that a pod may set without its node's consent: the kernel keeps them
// apart for each pod, and they touch no other one.
var safeSysctls = []string{
	"kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range",
	"net.ipv4.ip_unprivileged_port_start", "net.ipv4.ip_local_reserved_ports", "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout",
	"net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem",
	"net.ipv4.tcp_slow_start_after_idle", "net.ipv4.tcp_notsent_lowat",
}

const apparmorSwitch = "/sys/module/apparmor/parameters/enabled"

// refuse says why this node can't run the pod at all, in the kubelet's words.
func (h *Host) refuse(pod *v1.Pod) *Refusal {
	spec := &pod.Spec
	if os := spec.NodeSelector[v1.LabelOSStable]; os != "" && os != string(v1.Linux) {
		return &Refusal{"PodOSSelectorNodeLabelDoesNotMatch", "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label"}
	}
	if spec.OS != nil && spec.OS.Name != v1.Linux {
		return &Refusal{"PodOSNotSupported", "Failed to admit pod as the OS field doesn't match node OS"}
	}
	if spec.HostUsers != nil && !*spec.HostUsers && !h.Pretended {
		return &Refusal{"UnexpectedAdmissionError", "user namespaces (hostUsers: false) are not supported on this node"}
	}
	if h.OldRuntime && mountsImages(pod) {
		return &Refusal{"UnexpectedAdmissionError", "image volumes need containerd 2.0 or newer on this node"}
	}
	sc := spec.SecurityContext
	if sc != nil && sc.SupplementalGroupsPolicy != nil && *sc.SupplementalGroupsPolicy == v1.SupplementalGroupsPolicyStrict && h.OldRuntime {
		return &Refusal{"SupplementalGroupsPolicyNotSupported", "SupplementalGroupsPolicy=Strict is not supported in this node"}
	}
	if sc != nil {
		for _, s := range sc.Sysctls {
			if why := h.forbidden(s.Name, spec); why != "" {
				return &Refusal{"SysctlForbidden", "forbidden sysctl: " + why}
			}
		}
	}
	if wantsAppArmor(spec) && !h.Pretended && !hasAppArmor() {
		return &Refusal{"AppArmor", "Cannot enforce AppArmor: AppArmor is not enabled on the host"}
	}
	return nil
}

// forbidden says why a pod may not set a sysctl; "": it may. Patterns of the node's own may end in *.
func (h *Host) forbidden(name string, spec *v1.PodSpec) string {
	name = strings.ReplaceAll(name, "/", ".")
	matches := func(pattern string) bool {
		prefix, open := strings.CutSuffix(strings.ReplaceAll(pattern, "/", "."), "*")
		return name == pattern || open && strings.HasPrefix(name, prefix)
	}
	if !slices.Contains(safeSysctls, name) && !slices.ContainsFunc(h.UnsafeSysctls, matches) {
		return fmt.Sprintf("%q not allowlisted", name)
	}
	switch {
	case strings.HasPrefix(name, "net.") && spec.HostNetwork:
		return fmt.Sprintf("%q not allowed with host net enabled", name)
	case !strings.HasPrefix(name, "net.") && spec.HostIPC:
		return fmt.Sprintf("%q not allowed with host ipc enabled", name)
	}
	return ""
}

func wantsAppArmor(spec *v1.PodSpec) bool {
	wants := false
	each(spec, func(c *v1.Container) {
		p := appArmor(spec, c)
		wants = wants || p != nil && p.Type != v1.AppArmorProfileTypeUnconfined
	})
	return wants
}

// appArmor is the container's profile, or its pod's; nil: none is named.
func appArmor(spec *v1.PodSpec, c *v1.Container) *v1.AppArmorProfile {
	if c.SecurityContext != nil && c.SecurityContext.AppArmorProfile != nil {
		return c.SecurityContext.AppArmorProfile
	}
	if spec.SecurityContext != nil {
		return spec.SecurityContext.AppArmorProfile
	}
	return nil
}

func hasAppArmor() bool {
	data, err := os.ReadFile(apparmorSwitch)
	return err == nil && strings.HasPrefix(string(data), "Y")
}

// each calls f for all containers of a pod's spec but the ephemeral ones.
func each(spec *v1.PodSpec, f func(c *v1.Container)) {
	for i := range spec.InitContainers {
		f(&spec.InitContainers[i])
	}
	for i := range spec.Containers {
		f(&spec.Containers[i])
	}
}
