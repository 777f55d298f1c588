package controllertest

import (
	"reflect"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// setDaemonSet is what the API adds to a new DaemonSet.
func setDaemonSet(ds *appsv1.DaemonSet) {
	ds.Spec.RevisionHistoryLimit = orDefault(ds.Spec.RevisionHistoryLimit, 10)
	u := &ds.Spec.UpdateStrategy
	if u.Type == "" {
		u.Type = appsv1.RollingUpdateDaemonSetStrategyType
	}
	if u.Type == appsv1.RollingUpdateDaemonSetStrategyType {
		if u.RollingUpdate == nil {
			u.RollingUpdate = &appsv1.RollingUpdateDaemonSet{}
		}
		one, none := intstr.FromInt32(1), intstr.FromInt32(0)
		if u.RollingUpdate.MaxUnavailable == nil {
			u.RollingUpdate.MaxUnavailable = &one
		}
		if u.RollingUpdate.MaxSurge == nil {
			u.RollingUpdate.MaxSurge = &none
		}
	}
	setTemplateGeneration(ds, 1)
}

// countTemplate counts the templates that a DaemonSet has had.
func countTemplate(old, value runtime.Object) {
	was, ok1 := old.(*appsv1.DaemonSet)
	is, ok2 := value.(*appsv1.DaemonSet)
	if !ok1 || !ok2 || reflect.DeepEqual(was.Spec.Template, is.Spec.Template) {
		return
	}
	n, err := strconv.Atoi(was.Annotations[appsv1.DeprecatedTemplateGeneration])
	if err == nil {
		setTemplateGeneration(is, n+1)
	}
}

func setTemplateGeneration(ds *appsv1.DaemonSet, n int) {
	marked := map[string]string{appsv1.DeprecatedTemplateGeneration: strconv.Itoa(n)}
	for k, v := range ds.Annotations {
		if k != appsv1.DeprecatedTemplateGeneration {
			marked[k] = v
		}
	}
	ds.Annotations = marked
}

// named is the node that a pod's required affinity names, "" if it names none.
func named(pod *corev1.Pod) string {
	a := pod.Spec.Affinity
	if a == nil || a.NodeAffinity == nil || a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution == nil {
		return ""
	}
	for _, term := range a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms {
		for _, f := range term.MatchFields {
			return f.Values[0]
		}
	}
	return ""
}
