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
}

var rules = []rule{
	{corev1.NodeReady, corev1.ConditionFalse, corev1.TaintNodeNotReady},
	{corev1.NodeReady, corev1.ConditionUnknown, corev1.TaintNodeUnreachable},
	{corev1.NodeMemoryPressure, corev1.ConditionTrue, corev1.TaintNodeMemoryPressure},
	{corev1.NodeDiskPressure, corev1.ConditionTrue, corev1.TaintNodeDiskPressure},
	{corev1.NodePIDPressure, corev1.ConditionTrue, corev1.TaintNodePIDPressure},
	{corev1.NodeNetworkUnavailable, corev1.ConditionTrue, corev1.TaintNodeNetworkUnavailable},
}

// taintsOf are the taints that a node is to have now: those that people set, and
// with NoSchedule those that follow from its conditions and spec.unschedulable. One
// with NoExecute goes as soon as the node is ready; when it comes is its zone's
// matter. A node that never reported keeps the taints it registered with.
func taintsOf(node *corev1.Node, now time.Time) []corev1.Taint {
	var out []corev1.Taint
	wanted := noSchedule(node)
	at := metav1.NewTime(now.Truncate(time.Second))
	add := func(t corev1.Taint) {
		if !slices.ContainsFunc(out, func(o corev1.Taint) bool { return o.MatchTaint(&t) }) {
			out = append(out, t)
		}
	}
	for _, t := range node.Spec.Taints {
		switch {
		case t.Effect == corev1.TaintEffectNoExecute:
			if t.TimeAdded == nil { // tolerationSeconds are counted from it
				t.TimeAdded = &at
			}
			if isExecute(t) && condition(node, corev1.NodeReady) != nil {
				// One that follows another is as old: the pods' time runs on.
				if t.Key = executeKey(node); t.Key == "" {
					continue
				}
			}
			add(t)
		case slices.Contains(wanted, t.Key) || t.Effect != corev1.TaintEffectNoSchedule || !ours(node, t.Key):
			add(t)
		}
	}
	for _, key := range wanted {
		t := corev1.Taint{Key: key, Effect: corev1.TaintEffectNoSchedule, TimeAdded: &at}
		add(t)
	}
	return out
}

// noSchedule are the keys that follow from what is known about the node.
func noSchedule(node *corev1.Node) []string {
	var keys []string
	for _, r := range rules {
		if c := condition(node, r.condition); c != nil && c.Status == r.status {
			keys = append(keys, r.key)
		}
	}
	if node.Spec.Unschedulable {
		keys = append(keys, corev1.TaintNodeUnschedulable)
	}
	return keys
}

// isExecute reports a taint that sends pods away from a node that isn't ready.
func isExecute(t corev1.Taint) bool {
	return t.Effect == corev1.TaintEffectNoExecute && (t.Key == corev1.TaintNodeNotReady || t.Key == corev1.TaintNodeUnreachable)
}

// executeKey is that taint's key now, "" for a node that is ready.
func executeKey(node *corev1.Node) string {
	for _, r := range rules {
		if c := condition(node, corev1.NodeReady); r.condition == corev1.NodeReady && c != nil && c.Status == r.status {
			return r.key
		}
	}
	return ""
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
