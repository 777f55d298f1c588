package agent

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kubelet "k8s.io/kubelet/config/v1beta1"
)

// configuration says how this agent runs its node, in the kubelet's terms. What
// the agent doesn't have isn't in it.
func (a *Agent) configuration() kubelet.KubeletConfiguration {
	yes, no := true, false
	c := kubelet.KubeletConfiguration{
		ClusterDNS: a.o.ClusterDNS, ClusterDomain: a.o.ClusterDomain,
		MaxPods: int32(a.o.MaxPods), PodCIDR: a.o.PodCIDR, RegisterWithTaints: a.o.Taints,
		NodeStatusUpdateFrequency: metav1.Duration{Duration: lookAtNode},
		NodeStatusReportFrequency: metav1.Duration{Duration: tellAnyway},
		NodeLeaseDurationSeconds:  int32(10 * beatEvery / time.Second),
		CgroupDriver:              "cgroupfs", FailSwapOn: &no, RegisterNode: &yes, SerializeImagePulls: &no,
		EnableServer: &yes, EnableDebuggingHandlers: &yes, EnableSystemLogHandler: &yes,
		Authentication: kubelet.KubeletAuthentication{Anonymous: kubelet.KubeletAnonymousAuthentication{Enabled: &no}},
	}
	if a.o.Runtime == nil {
		c.ContainerRuntimeEndpoint = a.o.ContainerdAddress
		if c.ContainerRuntimeEndpoint == "" {
			c.ContainerRuntimeEndpoint = "unix://" + a.layout.Address()
		}
	}
	return c
}
