package podautoscaler

import (
	"fmt"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
)

// tell adds to what kubectl describe shows beside the new status.
func (l *look) tell(reason, note string) {
	l.steps = append(l.steps, events.Step{Reason: reason, Note: note})
}

// write is the append of the new status, if it differs.
func (l *look) write() controllers.Result {
	if apiequality.Semantic.DeepEqual(l.was.Status, l.hpa.Status) {
		return controllers.Result{}
	}
	i := controllers.Progressed(l.o, l.hpa)
	if len(l.steps) > 0 {
		i.Reason, i.Note = events.JoinSteps(l.steps)
	}
	return controllers.Do(i)
}

// setStatus replaces all of the status but its conditions.
func (l *look) setStatus(current, desired int32, measured []autoscalingv2.MetricStatus) {
	old := &l.hpa.Status
	l.hpa.Status = autoscalingv2.HorizontalPodAutoscalerStatus{
		CurrentReplicas: current, DesiredReplicas: desired, CurrentMetrics: measured,
		LastScaleTime: old.LastScaleTime, Conditions: old.Conditions,
	}
	if g := l.was.Generation; g != 0 {
		l.hpa.Status.ObservedGeneration = &g
	}
}

func (l *look) condition(t autoscalingv2.HorizontalPodAutoscalerConditionType, status corev1.ConditionStatus, reason, format string, args ...any) {
	all := l.hpa.Status.Conditions
	var c *autoscalingv2.HorizontalPodAutoscalerCondition
	for i := range all {
		if all[i].Type == t {
			c = &all[i]
		}
	}
	if c == nil {
		l.hpa.Status.Conditions = append(all, autoscalingv2.HorizontalPodAutoscalerCondition{Type: t})
		c = &l.hpa.Status.Conditions[len(all)]
	}
	if c.Status != status {
		c.LastTransitionTime = metav1.NewTime(l.now.Truncate(time.Second))
	}
	c.Status, c.Reason, c.Message = status, reason, fmt.Sprintf(format, args...)
}

// scaledToZero reports that it was the autoscaler who scaled its target to zero.
func (l *look) scaledToZero() bool {
	for i := range l.was.Status.Conditions {
		if c := &l.was.Status.Conditions[i]; c.Type == autoscalingv2.ScaledToZero {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// hasOuterMetric reports a metric that there is without any pod.
func (l *look) hasOuterMetric() bool {
	for i := range l.was.Spec.Metrics {
		switch l.was.Spec.Metrics[i].Type {
		case autoscalingv2.ObjectMetricSourceType, autoscalingv2.ExternalMetricSourceType:
			return true
		}
	}
	return false
}
