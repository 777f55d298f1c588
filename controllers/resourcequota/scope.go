package resourcequota

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"

	"github.com/reckon-project/reckon/events"
)

// scopesOf is all that an object must match to count.
func scopesOf(spec *corev1.ResourceQuotaSpec) []corev1.ScopedResourceSelectorRequirement {
	var all []corev1.ScopedResourceSelectorRequirement
	for _, s := range spec.Scopes {
		all = append(all, corev1.ScopedResourceSelectorRequirement{ScopeName: s, Operator: corev1.ScopeSelectorOpExists})
	}
	if spec.ScopeSelector != nil {
		all = append(all, spec.ScopeSelector.MatchExpressions...)
	}
	return all
}

func (c *counter) matches(in func(corev1.ScopedResourceSelectorRequirement) (bool, error)) (bool, error) {
	for _, scope := range c.scopes {
		if ok, err := in(scope); !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

func podInScope(pod *corev1.Pod, scope corev1.ScopedResourceSelectorRequirement) (bool, error) {
	switch scope.ScopeName {
	case corev1.ResourceQuotaScopeTerminating:
		return terminating(pod), nil
	case corev1.ResourceQuotaScopeNotTerminating:
		return !terminating(pod), nil
	case corev1.ResourceQuotaScopeBestEffort:
		return bestEffort(pod), nil
	case corev1.ResourceQuotaScopeNotBestEffort:
		return !bestEffort(pod), nil
	case corev1.ResourceQuotaScopeCrossNamespacePodAffinity:
		return crossesNamespaces(pod.Spec.Affinity), nil
	case corev1.ResourceQuotaScopePriorityClass:
		return selects(scope, pod.Spec.PriorityClassName)
	}
	return false, nil
}

func claimInScope(claim *corev1.PersistentVolumeClaim, scope corev1.ScopedResourceSelectorRequirement) (bool, error) {
	if scope.ScopeName != corev1.ResourceQuotaScopeVolumeAttributesClass {
		return false, nil
	}
	classes := attributeClasses(claim)
	if len(classes) == 0 {
		return selects(scope, "")
	}
	for _, class := range classes {
		if ok, err := selects(scope, class); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

// selects reports whether a requirement holds for a class's name; "": none.
func selects(scope corev1.ScopedResourceSelectorRequirement, class string) (bool, error) {
	op, ok := map[corev1.ScopeSelectorOperator]selection.Operator{
		corev1.ScopeSelectorOpIn: selection.In, corev1.ScopeSelectorOpNotIn: selection.NotIn,
		corev1.ScopeSelectorOpExists: selection.Exists, corev1.ScopeSelectorOpDoesNotExist: selection.DoesNotExist,
	}[scope.Operator]
	if !ok {
		return false, fmt.Errorf("%w: scope selector operator %q", events.ErrInvalid, scope.Operator)
	}
	r, err := labels.NewRequirement(string(scope.ScopeName), op, scope.Values)
	if err != nil {
		return false, fmt.Errorf("%w: scope selector: %w", events.ErrInvalid, err)
	}
	set := labels.Set{}
	if class != "" {
		set[string(scope.ScopeName)] = class
	}
	return r.Matches(set), nil
}

// terminating reports a pod that is to end by itself.
func terminating(pod *corev1.Pod) bool {
	return pod.Spec.ActiveDeadlineSeconds != nil && *pod.Spec.ActiveDeadlineSeconds >= 0
}

// bestEffort reports a pod that asks for neither CPU nor memory. The API says so
// in its status.
func bestEffort(pod *corev1.Pod) bool {
	if pod.Status.QOSClass != "" {
		return pod.Status.QOSClass == corev1.PodQOSBestEffort
	}
	asks := func(r corev1.ResourceRequirements) bool {
		for _, list := range []corev1.ResourceList{r.Requests, r.Limits} {
			if !list.Cpu().IsZero() || !list.Memory().IsZero() {
				return true
			}
		}
		return false
	}
	if pod.Spec.Resources != nil && asks(*pod.Spec.Resources) {
		return false
	}
	for _, containers := range [][]corev1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
		for i := range containers {
			if asks(containers[i].Resources) {
				return false
			}
		}
	}
	return true
}

func crossesNamespaces(a *corev1.Affinity) bool {
	if a == nil {
		return false
	}
	var terms []corev1.PodAffinityTerm
	var weighted []corev1.WeightedPodAffinityTerm
	if p := a.PodAffinity; p != nil {
		terms, weighted = p.RequiredDuringSchedulingIgnoredDuringExecution, p.PreferredDuringSchedulingIgnoredDuringExecution
	}
	if p := a.PodAntiAffinity; p != nil {
		terms = append(terms[:len(terms):len(terms)], p.RequiredDuringSchedulingIgnoredDuringExecution...)
		weighted = append(weighted[:len(weighted):len(weighted)], p.PreferredDuringSchedulingIgnoredDuringExecution...)
	}
	for i := range weighted {
		terms = append(terms[:len(terms):len(terms)], weighted[i].PodAffinityTerm)
	}
	for i := range terms {
		if len(terms[i].Namespaces) > 0 || terms[i].NamespaceSelector != nil {
			return true
		}
	}
	return false
}
