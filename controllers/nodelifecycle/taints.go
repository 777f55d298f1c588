package nodelifecycle

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// rule makes a taint from a condition.
type rule struct {
	condition corev1.NodeConditionType
	status    corev1.ConditionStatus
	key       string
	execute   bool // pods that run are concerned as well
}

var rules = []rule{
	{corev1.NodeReady, corev1.ConditionFalse, corev1.TaintNodeNotReady, true},
	{corev1.NodeReady, corev1.ConditionUnknown, corev1.TaintNodeUnreachable, true},
	{corev1.NodeMemoryPressure, corev1.ConditionTrue, corev1.TaintNodeMemoryPressure, false},
	{corev1.NodeDiskPressure, corev1.ConditionTrue, corev1.TaintNodeDiskPressure, false},
	{corev1.NodePIDPressure, corev1.ConditionTrue, corev1.TaintNodePIDPressure, false},
	{corev1.NodeNetworkUnavailable, corev1.ConditionTrue, corev1.TaintNodeNetworkUnavailable, false},
}

// taintsOf are the taints that a node is to have: those that people set, and
// those that follow from its conditions and spec.unschedulable. A node that
// never reported keeps the taints it registered with.
func taintsOf(node *corev1.Node, now time.Time) []corev1.Taint {
	var out, wanted []corev1.Taint
	at := metav1.NewTime(now.Truncate(time.Second))
	for _, r := range rules {
		if c := condition(node, r.condition); c != nil && c.Status == r.status {
			wanted = append(wanted, corev1.Taint{Key: r.key, Effect: corev1.TaintEffectNoSchedule})
			if r.execute {
				wanted = append(wanted, corev1.Taint{Key: r.key, Effect: corev1.TaintEffectNoExecute})
			}
		}
	}
	if node.Spec.Unschedulable {
		wanted = append(wanted, corev1.Taint{Key: corev1.TaintNodeUnschedulable, Effect: corev1.TaintEffectNoSchedule})
	}
	same := func(a, b corev1.Taint) bool { return a.Key == b.Key && a.Effect == b.Effect }
	for _, t := range node.Spec.Taints {
		needed := slices.ContainsFunc(wanted, func(w corev1.Taint) bool { return same(w, t) })
		if needed || !ours(node, t.Key) {
			out = append(out, t)
		}
	}
	for _, w := range wanted {
		if !slices.ContainsFunc(out, func(t corev1.Taint) bool { return same(w, t) }) {
			w.TimeAdded = &at
			out = append(out, w)
		}
	}
	return out
}

// ours reports a taint that follows from what is known about the node.
func ours(node *corev1.Node, key string) bool {
	if key == corev1.TaintNodeUnschedulable {
		return true
	}
	for _, r := range rules {
		if r.key == key {
			return condition(node, r.condition) != nil
		}
	}
	return false
}
