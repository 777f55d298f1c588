package metrics

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	api "k8s.io/metrics/pkg/apis/metrics"

	"github.com/reckon-project/reckon/bus/usage"
)

// nodeMetrics is a node's, or nil when the node told nothing usable.
func nodeMetrics(node *corev1.Node, t *told) *api.NodeMetrics {
	if t == nil {
		return nil
	}
	r := t.decode()
	if r == nil || r.Window == 0 {
		return nil
	}
	return &api.NodeMetrics{
		ObjectMeta: metav1.ObjectMeta{Name: node.Name, Labels: node.Labels, CreationTimestamp: metav1.NewTime(r.Time)},
		Timestamp:  metav1.NewTime(r.Time), Window: window(r.Window), Usage: amounts(r.Use),
	}
}

// podMetrics is a pod's, or nil when its node told nothing of it.
func podMetrics(pod *corev1.Pod, t *told) *api.PodMetrics {
	used := t.pod(string(pod.UID))
	if used == nil {
		return nil
	}
	out := &api.PodMetrics{
		ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name, Labels: pod.Labels, CreationTimestamp: metav1.NewTime(t.report.Time)},
		Timestamp:  metav1.NewTime(t.report.Time), Window: window(used.Window),
	}
	for _, c := range used.Containers {
		out.Containers = append(out.Containers, api.ContainerMetrics{Name: c.Name, Usage: amounts(c.Use)})
	}
	return out
}

func window(d time.Duration) metav1.Duration {
	return metav1.Duration{Duration: d.Round(time.Millisecond)}
}

func amounts(u usage.Use) corev1.ResourceList {
	return corev1.ResourceList{
		corev1.ResourceCPU:    *resource.NewScaledQuantity(int64(u.CPU), resource.Nano),
		corev1.ResourceMemory: *resource.NewQuantity(int64(u.Memory)/1024*1024, resource.BinarySI),
	}
}
