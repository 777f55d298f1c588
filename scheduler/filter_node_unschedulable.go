package scheduler

import (
	corev1 "k8s.io/api/core/v1"
	corev1helpers "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/klog/v2"
)

// NodeUnschedulable refuses cordoned nodes, unless the pod tolerates that.
type NodeUnschedulable struct{}

func (NodeUnschedulable) Name() string { return "NodeUnschedulable" }

func (NodeUnschedulable) Refuses(cl *class, n *node) bool {
	return n.object.Spec.Unschedulable && !cl.toleratesCordon
}

func (NodeUnschedulable) Reasons(*cluster, *class, *node) []string {
	return []string{"node(s) were unschedulable"}
}

func toleratesCordon(tolerations []corev1.Toleration) bool {
	cordon := corev1.Taint{Key: corev1.TaintNodeUnschedulable, Effect: corev1.TaintEffectNoSchedule}
	return corev1helpers.TolerationsTolerateTaint(klog.Logger{}, tolerations, &cordon, false)
}
