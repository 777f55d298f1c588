package scheduler

import corev1 "k8s.io/api/core/v1"

// NodePorts refuses nodes where a host port of the pod is taken.
type NodePorts struct{}

func (NodePorts) Name() string { return "NodePorts" }

func (NodePorts) Refuses(cl *class, n *node) bool {
	for _, want := range cl.demand.ports {
		for _, have := range n.ports {
			if want.conflicts(have) {
				return true
			}
		}
	}
	return false
}

func (NodePorts) Reasons(*cluster, *class, *node) []string {
	return []string{"node(s) didn't have free ports for the requested pod ports"}
}

// hostPort is a port of the node that a pod listens on.
type hostPort struct {
	ip       string
	protocol corev1.Protocol
	port     int32
}

const anyIP = "0.0.0.0"

func (p hostPort) conflicts(o hostPort) bool {
	return p.port == o.port && p.protocol == o.protocol && (p.ip == o.ip || p.ip == anyIP || o.ip == anyIP)
}

func hostPorts(pod *corev1.Pod) []hostPort {
	var out []hostPort
	collect := func(containers []corev1.Container, use func(*corev1.Container) bool) {
		for i := range containers {
			if !use(&containers[i]) {
				continue
			}
			for _, p := range containers[i].Ports {
				if p.HostPort <= 0 {
					continue
				}
				h := hostPort{p.HostIP, p.Protocol, p.HostPort}
				if h.ip == "" {
					h.ip = anyIP
				}
				if h.protocol == "" {
					h.protocol = corev1.ProtocolTCP
				}
				out = append(out, h)
			}
		}
	}
	collect(pod.Spec.InitContainers, func(c *corev1.Container) bool {
		return c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
	})
	collect(pod.Spec.Containers, func(*corev1.Container) bool { return true })
	return out
}
