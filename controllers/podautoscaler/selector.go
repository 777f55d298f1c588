package podautoscaler

import (
	"errors"
	"fmt"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/reckon-project/reckon/projections"
)

// selector is that of the target's pods.
func (l *look) selector() (labels.Selector, error) {
	if l.target.selector == "" {
		err := errors.New("selector is required")
		l.tell("SelectorRequired", err.Error())
		l.condition(autoscalingv2.ScalingActive, corev1.ConditionFalse, "InvalidSelector", "the HPA target's scale is missing a selector")
		return nil, err
	}
	selector, err := labels.Parse(l.target.selector)
	if err != nil {
		err = fmt.Errorf("couldn't convert selector into a corresponding internal selector object: %w", err)
		l.tell("InvalidSelector", err.Error())
		l.condition(autoscalingv2.ScalingActive, corev1.ConditionFalse, "InvalidSelector", "%v", err)
		return nil, err
	}
	return selector, nil
}

// unambiguous refuses pods that another autoscaler counts as well: both would scale
// by the same load.
func (l *look) unambiguous(pods []*corev1.Pod) error {
	sets := distinct(pods)
	if len(sets) == 0 {
		return nil
	}
	for other := range projections.List[*autoscalingv2.HorizontalPodAutoscaler](l.s, l.o.Key.Group, l.o.Key.Resource, l.was.Namespace) {
		if other.Name == l.was.Name {
			continue
		}
		t, err := findTarget(l.s, other.Namespace, other.Spec.ScaleTargetRef)
		if err != nil || t.selector == "" {
			continue
		}
		selector, err := labels.Parse(t.selector)
		if err != nil {
			continue
		}
		for _, set := range sets {
			if !selector.Matches(set) {
				continue
			}
			err := fmt.Errorf("pods by selector %s are controlled by more than one HPA (e.g. [%s/%s %s/%s])", l.target.selector, l.was.Namespace, min(l.was.Name, other.Name), other.Namespace, max(l.was.Name, other.Name))
			l.tell("AmbiguousSelector", err.Error())
			l.condition(autoscalingv2.ScalingActive, corev1.ConditionFalse, "AmbiguousSelector", "%v", err)
			return err
		}
	}
	return nil
}

// distinct gives the label sets of pods, each once.
func distinct(pods []*corev1.Pod) []labels.Set {
	seen := map[string]bool{}
	var out []labels.Set
	for _, pod := range pods {
		set := labels.Set(pod.Labels)
		if text := set.String(); !seen[text] {
			seen[text] = true
			out = append(out, set)
		}
	}
	return out
}
