package scheduler

import (
	"github.com/reckon-project/reckon/events"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// budgets are the PodDisruptionBudgets, by namespace and name.
type budgets map[string]map[string]*budget

type budget struct {
	selector  labels.Selector
	allowed   int32
	disrupted map[string]metav1.Time // pods whose eviction is counted already
}

// set takes in a budget's new version, nil when it is gone. One that selects
// nothing, or everything, is none here, as in Kubernetes.
func (b budgets) set(key events.Key, p *policyv1.PodDisruptionBudget) {
	delete(b[key.Namespace], key.Name)
	if p == nil {
		return
	}
	selector, err := metav1.LabelSelectorAsSelector(p.Spec.Selector)
	if err != nil || selector.Empty() {
		return
	}
	if b[key.Namespace] == nil {
		b[key.Namespace] = map[string]*budget{}
	}
	b[key.Namespace][key.Name] = &budget{selector, p.Status.DisruptionsAllowed, p.Status.DisruptedPods}
}

// violated tells of each pod whether its budgets would be overdrawn if those before it
// in the list went too.
func (b budgets) violated(pods []*bound) []bool {
	out := make([]bool, len(pods))
	if len(b) == 0 {
		return out
	}
	left := map[*budget]int32{}
	for i, each := range pods {
		out[i] = b.draws(each.pod, left)
	}
	return out
}

// draws takes a pod from all its budgets, and reports whether one is overdrawn by that.
func (b budgets) draws(pod *corev1.Pod, left map[*budget]int32) (violated bool) {
	if len(pod.Labels) == 0 {
		return false
	}
	for _, each := range b[pod.Namespace] {
		if !each.selector.Matches(labels.Set(pod.Labels)) {
			continue
		}
		if _, counted := each.disrupted[pod.Name]; counted {
			continue
		}
		allowed, seen := left[each]
		if !seen {
			allowed = each.allowed
		}
		left[each] = allowed - 1
		violated = violated || allowed < 1
	}
	return violated
}
