package pod

import (
	"maps"
	"path/filepath"
	"slices"

	v1 "k8s.io/api/core/v1"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/reckon-project/reckon/agent/runtime"
)

// LogDir is where the logs of a pod's containers are.
func LogDir(root string, pod *v1.Pod) string {
	return filepath.Join(root, "logs", pod.Namespace+"_"+pod.Name+"_"+string(pod.UID))
}

// filesDir is where the agent keeps a pod's own files.
func filesDir(root, uid string) string { return filepath.Join(root, "pods", uid) }

func labels(pod *v1.Pod) map[string]string {
	out := maps.Clone(pod.Labels)
	if out == nil {
		out = map[string]string{}
	}
	out[runtime.LabelPodName] = pod.Name
	out[runtime.LabelPodNamespace] = pod.Namespace
	out[runtime.LabelPodUID] = string(pod.UID)
	return out
}

// cgroupParent is the pod's cgroup. Pods lie side by side, so that their shares
// of CPU are what they requested, whatever their quality-of-service class.
func cgroupParent(prefix string, pod *v1.Pod) string {
	if prefix == "" {
		return ""
	}
	return filepath.Join(prefix, "pod"+string(pod.UID))
}

func (h *Host) sandboxConfig(pod *v1.Pod, attempt uint32) (*cri.PodSandboxConfig, error) {
	spec := &pod.Spec
	hostname, err := h.kernelName(pod)
	if err != nil {
		return nil, err
	}
	config := &cri.PodSandboxConfig{
		Metadata:    &cri.PodSandboxMetadata{Name: pod.Name, Namespace: pod.Namespace, Uid: string(pod.UID), Attempt: attempt},
		Hostname:    hostname,
		Labels:      labels(pod),
		Annotations: pod.Annotations,
		Linux: &cri.LinuxPodSandboxConfig{
			CgroupParent: cgroupParent(h.CgroupPrefix, pod),
			Overhead:     overhead(spec.Overhead),
			Resources:    limitsOf(pod).resources(),
			SecurityContext: &cri.LinuxSandboxSecurityContext{
				NamespaceOptions: namespaces(spec),
				Privileged:       hasPrivileged(spec),
				Seccomp:          &cri.SecurityProfile{ProfileType: cri.SecurityProfile_RuntimeDefault},
			},
		},
	}
	if h.Dir != "" {
		config.LogDirectory = LogDir(h.Dir, pod)
		config.DnsConfig = h.dnsConfig(pod)
	}
	if spec.HostNetwork {
		config.Hostname = "" // CRI keeps the node's own
	}
	if sc := spec.SecurityContext; sc != nil {
		config.Linux.Sysctls = map[string]string{}
		for _, s := range sc.Sysctls {
			config.Linux.Sysctls[s.Name] = s.Value
		}
		config.Linux.SecurityContext.SupplementalGroups = slices.Clone(sc.SupplementalGroups)
		config.Linux.SecurityContext.SupplementalGroupsPolicy = groupsPolicy(sc)
		config.Linux.SecurityContext.SelinuxOptions = selinux(sc.SELinuxOptions)
		if sc.FSGroup != nil {
			config.Linux.SecurityContext.SupplementalGroups = append(config.Linux.SecurityContext.SupplementalGroups, *sc.FSGroup)
		}
	}
	if hasPrivileged(spec) {
		config.Linux.SecurityContext.Seccomp = &cri.SecurityProfile{ProfileType: cri.SecurityProfile_Unconfined}
	}
	if !spec.HostNetwork {
		config.PortMappings = portMappings(spec)
	}
	return config, nil
}

func portMappings(spec *v1.PodSpec) []*cri.PortMapping {
	var out []*cri.PortMapping
	add := func(containers []v1.Container) {
		for _, c := range containers {
			for _, p := range c.Ports {
				if p.HostPort == 0 {
					continue
				}
				protocol := cri.Protocol_TCP
				switch p.Protocol {
				case v1.ProtocolUDP:
					protocol = cri.Protocol_UDP
				case v1.ProtocolSCTP:
					protocol = cri.Protocol_SCTP
				}
				out = append(out, &cri.PortMapping{Protocol: protocol, ContainerPort: p.ContainerPort, HostPort: p.HostPort, HostIp: p.HostIP})
			}
		}
	}
	add(spec.InitContainers)
	add(spec.Containers)
	return out
}

func namespaces(spec *v1.PodSpec) *cri.NamespaceOption {
	o := &cri.NamespaceOption{Network: cri.NamespaceMode_POD, Pid: cri.NamespaceMode_CONTAINER, Ipc: cri.NamespaceMode_POD}
	if spec.HostNetwork {
		o.Network = cri.NamespaceMode_NODE
	}
	if spec.HostIPC {
		o.Ipc = cri.NamespaceMode_NODE
	}
	if isTrue(spec.ShareProcessNamespace) {
		o.Pid = cri.NamespaceMode_POD
	}
	if spec.HostPID {
		o.Pid = cri.NamespaceMode_NODE
	}
	return o
}

func hasPrivileged(spec *v1.PodSpec) bool {
	for _, list := range [][]v1.Container{spec.InitContainers, spec.Containers} {
		for _, c := range list {
			if c.SecurityContext != nil && isTrue(c.SecurityContext.Privileged) {
				return true
			}
		}
	}
	return false
}
