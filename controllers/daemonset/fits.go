package daemonset

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	helpers "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"k8s.io/klog/v2"
)

// fits tells on which nodes a set's pods run. It is made once for all nodes.
type fits struct {
	nodeName    string
	tolerations []corev1.Toleration
	required    nodeaffinity.RequiredNodeAffinity
}

func newFits(ds *appsv1.DaemonSet) fits {
	spec := &ds.Spec.Template.Spec
	return fits{spec.NodeName, tolerations(spec), nodeaffinity.NewRequiredNodeAffinity(spec.NodeSelector, spec.Affinity)}
}

// node reports whether a pod is to run on a node, and whether one that runs may go on.
func (f fits) node(node *corev1.Node) (runs, stay bool) {
	if f.nodeName != "" && f.nodeName != node.Name {
		return false, false
	}
	if ok, err := f.required.Match(node); !ok || err != nil {
		return false, false // validation refuses what can't be parsed
	}
	runs, stay = true, true
	for i := range node.Spec.Taints {
		t := &node.Spec.Taints[i]
		if t.Effect == corev1.TaintEffectPreferNoSchedule || helpers.TolerationsTolerateTaint(klog.Logger{}, f.tolerations, t, false) {
			continue
		}
		runs = false
		if t.Effect == corev1.TaintEffectNoExecute {
			stay = false
		}
	}
	return runs, stay
}

// tolerations are the template's and those that every daemon's pod has: trouble of
// its node is no reason to leave it.
func tolerations(spec *corev1.PodSpec) []corev1.Toleration {
	out := append([]corev1.Toleration(nil), spec.Tolerations...)
	add := func(key string, effect corev1.TaintEffect) {
		t := corev1.Toleration{Key: key, Operator: corev1.TolerationOpExists, Effect: effect}
		for i := range out {
			if out[i].MatchToleration(&t) {
				out[i] = t
				return
			}
		}
		out = append(out, t)
	}
	add(corev1.TaintNodeNotReady, corev1.TaintEffectNoExecute)
	add(corev1.TaintNodeUnreachable, corev1.TaintEffectNoExecute)
	add(corev1.TaintNodeDiskPressure, corev1.TaintEffectNoSchedule)
	add(corev1.TaintNodeMemoryPressure, corev1.TaintEffectNoSchedule)
	add(corev1.TaintNodePIDPressure, corev1.TaintEffectNoSchedule)
	add(corev1.TaintNodeUnschedulable, corev1.TaintEffectNoSchedule)
	if spec.HostNetwork {
		add(corev1.TaintNodeNetworkUnavailable, corev1.TaintEffectNoSchedule)
	}
	return out
}
