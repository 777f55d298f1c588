package scheduler

import (
	corev1 "k8s.io/api/core/v1"
	corev1helpers "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/klog/v2"
)

// TaintToleration refuses nodes with a NoSchedule or NoExecute taint that the
// pod doesn't tolerate, and prefers nodes with few untolerated PreferNoSchedule
// taints: n of them score 1/(1+n) of the best.
type TaintToleration struct{}

func (TaintToleration) Name() string { return "TaintToleration" }

func (TaintToleration) Refuses(cl *class, n *node) bool {
	for i := range n.object.Spec.Taints {
		t := &n.object.Spec.Taints[i]
		if (t.Effect == corev1.TaintEffectNoSchedule || t.Effect == corev1.TaintEffectNoExecute) && !cl.tolerates(t) {
			return true
		}
	}
	return false
}

func (TaintToleration) Reasons(*cluster, *class, *node) []string {
	return []string{"node(s) had untolerated taint(s)"}
}

func (TaintToleration) Score(_ *cluster, cl *class, n *node) int64 {
	var untolerated int64
	for i := range n.object.Spec.Taints {
		if t := &n.object.Spec.Taints[i]; t.Effect == corev1.TaintEffectPreferNoSchedule && !cl.tolerates(t) {
			untolerated++
		}
	}
	return best / (1 + untolerated)
}

func (cl *class) tolerates(t *corev1.Taint) bool {
	return corev1helpers.TolerationsTolerateTaint(klog.Logger{}, cl.tolerations, t, false)
}
