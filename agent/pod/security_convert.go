package pod

import (
	"fmt"

	v1 "k8s.io/api/core/v1"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/reckon-project/reckon/events"
)

// What /proc and /sys hide from containers that aren't privileged, as the CRI
// documentation's default mount type asks.
var (
	maskedPaths = []string{"/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
		"/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap"}
	readonlyPaths = []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}
)

// securityContext merges the pod's and the container's settings. image is the
// user that the image names, for runAsNonRoot.
func securityContext(pod *v1.Pod, c *v1.Container, image *cri.Image) (*cri.LinuxContainerSecurityContext, error) {
	psc, csc := pod.Spec.SecurityContext, c.SecurityContext
	if psc == nil {
		psc = &v1.PodSecurityContext{}
	}
	if csc == nil {
		csc = &v1.SecurityContext{}
	}
	out := &cri.LinuxContainerSecurityContext{
		NamespaceOptions: namespaces(&pod.Spec),
		Privileged:       isTrue(csc.Privileged),
		ReadonlyRootfs:   isTrue(csc.ReadOnlyRootFilesystem),
		NoNewPrivs:       csc.AllowPrivilegeEscalation != nil && !*csc.AllowPrivilegeEscalation,
		Capabilities:     &cri.Capability{},
	}
	user, group, nonRoot := first(csc.RunAsUser, psc.RunAsUser), first(csc.RunAsGroup, psc.RunAsGroup), first(csc.RunAsNonRoot, psc.RunAsNonRoot)
	if user != nil {
		out.RunAsUser = &cri.Int64Value{Value: *user}
	} else if image != nil {
		if image.Uid != nil {
			out.RunAsUser = image.Uid
		} else {
			out.RunAsUsername = image.Username
		}
	}
	if group != nil {
		out.RunAsGroup = &cri.Int64Value{Value: *group}
		if out.RunAsUser == nil && out.RunAsUsername == "" {
			out.RunAsUser = &cri.Int64Value{Value: 0} // CRI takes a group only with a user
		}
	}
	if isTrue(nonRoot) {
		where := fmt.Sprintf("(pod: %q, container: %s)", fmt.Sprintf("%s_%s(%s)", pod.Name, pod.Namespace, pod.UID), c.Name)
		switch {
		case user != nil && *user == 0:
			return nil, fmt.Errorf("%w: container's runAsUser breaks non-root policy %s", events.ErrInvalid, where)
		case user == nil && out.RunAsUsername != "":
			return nil, fmt.Errorf("%w: container has runAsNonRoot and image has non-numeric user (%s), cannot verify user is non-root %s", events.ErrInvalid, out.RunAsUsername, where)
		case user == nil && (out.RunAsUser == nil || out.RunAsUser.Value == 0):
			return nil, fmt.Errorf("%w: container has runAsNonRoot and image will run as root %s", events.ErrInvalid, where)
		}
	}
	out.SupplementalGroups = append(out.SupplementalGroups, psc.SupplementalGroups...)
	if psc.FSGroup != nil {
		out.SupplementalGroups = append(out.SupplementalGroups, *psc.FSGroup)
	}
	out.SupplementalGroupsPolicy = groupsPolicy(psc)
	out.SelinuxOptions = selinux(first(csc.SELinuxOptions, psc.SELinuxOptions))
	if p := appArmor(&pod.Spec, c); p != nil && !out.Privileged && hasAppArmor() {
		out.Apparmor = apparmorProfile(p)
	}
	if csc.Capabilities != nil {
		for _, name := range csc.Capabilities.Add {
			out.Capabilities.AddCapabilities = append(out.Capabilities.AddCapabilities, string(name))
		}
		for _, name := range csc.Capabilities.Drop {
			out.Capabilities.DropCapabilities = append(out.Capabilities.DropCapabilities, string(name))
		}
	}
	out.Seccomp = seccomp(first(csc.SeccompProfile, psc.SeccompProfile), out.Privileged)
	if !out.Privileged && (csc.ProcMount == nil || *csc.ProcMount == v1.DefaultProcMount) {
		out.MaskedPaths, out.ReadonlyPaths = maskedPaths, readonlyPaths
	}
	return out, nil
}

func seccomp(p *v1.SeccompProfile, privileged bool) *cri.SecurityProfile {
	if p == nil || privileged {
		return &cri.SecurityProfile{ProfileType: cri.SecurityProfile_Unconfined}
	}
	switch p.Type {
	case v1.SeccompProfileTypeRuntimeDefault:
		return &cri.SecurityProfile{ProfileType: cri.SecurityProfile_RuntimeDefault}
	case v1.SeccompProfileTypeLocalhost:
		ref := ""
		if p.LocalhostProfile != nil {
			ref = "/var/lib/kubelet/seccomp/" + *p.LocalhostProfile
		}
		return &cri.SecurityProfile{ProfileType: cri.SecurityProfile_Localhost, LocalhostRef: ref}
	}
	return &cri.SecurityProfile{ProfileType: cri.SecurityProfile_Unconfined}
}

func apparmorProfile(p *v1.AppArmorProfile) *cri.SecurityProfile {
	switch {
	case p.Type == v1.AppArmorProfileTypeRuntimeDefault:
		return &cri.SecurityProfile{ProfileType: cri.SecurityProfile_RuntimeDefault}
	case p.Type == v1.AppArmorProfileTypeLocalhost && p.LocalhostProfile != nil:
		return &cri.SecurityProfile{ProfileType: cri.SecurityProfile_Localhost, LocalhostRef: *p.LocalhostProfile}
	}
	return &cri.SecurityProfile{ProfileType: cri.SecurityProfile_Unconfined}
}

func groupsPolicy(sc *v1.PodSecurityContext) cri.SupplementalGroupsPolicy {
	if sc.SupplementalGroupsPolicy == nil {
		return cri.SupplementalGroupsPolicy_Merge
	}
	return cri.SupplementalGroupsPolicy(cri.SupplementalGroupsPolicy_value[string(*sc.SupplementalGroupsPolicy)])
}

func selinux(o *v1.SELinuxOptions) *cri.SELinuxOption {
	if o == nil {
		return nil
	}
	return &cri.SELinuxOption{User: o.User, Role: o.Role, Type: o.Type, Level: o.Level}
}

func first[T any](values ...*T) *T {
	for _, v := range values {
		if v != nil {
			return v
		}
	}
	return nil
}
