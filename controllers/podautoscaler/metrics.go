package podautoscaler

import (
	"fmt"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
)

// reading is what one metric says.
type reading struct {
	replicas int32
	metric   string // for people
	status   autoscalingv2.MetricStatus
}

// proposal gives the largest size that a metric asks for, and the status of all. It is
// -1 if too few metrics can be had to decide.
func (l *look) proposal() (replicas int32, metric string, status []autoscalingv2.MetricStatus, err error) {
	selector, err := l.selector()
	if err != nil {
		return -1, "", nil, err
	}
	m := measuring{l, podsOf(l.s, l.was.Namespace, selector)}
	if err := l.unambiguous(m.pods); err != nil {
		return -1, "", nil, err
	}
	specs := l.was.Spec.Metrics
	status = make([]autoscalingv2.MetricStatus, len(specs))
	invalid, first, reason, message := 0, 0, "", ""
	for i := range specs {
		r, err := m.read(&specs[i])
		if err != nil {
			why := failed[specs[i].Type]
			if why == "" {
				why = "InvalidMetricSourceType"
			}
			l.tell(why, err.Error())
			if invalid++; invalid == 1 {
				first, reason, message = i, why, err.Error()
			}
			continue
		}
		status[i] = r.status
		if replicas == 0 || r.replicas > replicas {
			replicas, metric = r.replicas, r.metric
		}
	}
	if invalid >= len(specs) || invalid > 0 && replicas < l.target.replicas {
		l.condition(autoscalingv2.ScalingActive, corev1.ConditionFalse, reason, "the HPA was unable to compute the replica count: %s", message)
		return -1, "", status, fmt.Errorf("invalid metrics (%d invalid out of %d), first error is: failed to get %s: %s", invalid, len(specs), described(&specs[first]), message)
	}
	l.condition(autoscalingv2.ScalingActive, corev1.ConditionTrue, "ValidMetricFound", "the HPA was able to successfully calculate a replica count from %s", metric)
	return replicas, metric, status, nil
}

// failed are the reasons of metrics that can't be had.
var failed = map[autoscalingv2.MetricSourceType]string{
	autoscalingv2.ResourceMetricSourceType:          "FailedGetResourceMetric",
	autoscalingv2.ContainerResourceMetricSourceType: "FailedGetContainerResourceMetric",
	autoscalingv2.PodsMetricSourceType:              "FailedGetPodsMetric",
	autoscalingv2.ObjectMetricSourceType:            "FailedGetObjectMetric",
	autoscalingv2.ExternalMetricSourceType:          "FailedGetExternalMetric",
}

// described names a metric for people.
func described(m *autoscalingv2.MetricSpec) string {
	switch {
	case m.Resource != nil:
		return fmt.Sprintf("%s resource metric value", m.Resource.Name)
	case m.ContainerResource != nil:
		return fmt.Sprintf("%s container metric value", m.ContainerResource.Container)
	case m.Pods != nil:
		return "pods metric value"
	case m.Object != nil:
		return "object metric value"
	case m.External != nil:
		return fmt.Sprintf("%s external metric value", m.External.Metric.Name)
	}
	return "metric value"
}
