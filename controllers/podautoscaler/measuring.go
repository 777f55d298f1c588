package podautoscaler

import (
	"errors"
	"fmt"
	"math"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metrics "k8s.io/metrics/pkg/apis/metrics/v1beta1"
)

// usualWindow is what a custom metric is taken over if it doesn't say.
const usualWindow = time.Minute

// measuring reads the metrics of one look.
type measuring struct {
	*look
	pods []*corev1.Pod
}

func (m measuring) read(spec *autoscalingv2.MetricSpec) (reading, error) {
	q, err := questionOf(m.s, m.was.Namespace, spec, m.target.selector)
	if err != nil {
		return reading{}, err
	}
	a := m.round.answers[q]
	switch {
	case spec.Type == autoscalingv2.ResourceMetricSourceType && spec.Resource != nil:
		r := spec.Resource
		n, value, metric, err := m.resource(a, r.Name, "", &r.Target)
		return reading{n, metric, autoscalingv2.MetricStatus{
			Type: spec.Type, Resource: &autoscalingv2.ResourceMetricStatus{Name: r.Name, Current: value},
		}}, err
	case spec.Type == autoscalingv2.ContainerResourceMetricSourceType && spec.ContainerResource != nil:
		r := spec.ContainerResource
		n, value, metric, err := m.resource(a, r.Name, r.Container, &r.Target)
		return reading{n, metric, autoscalingv2.MetricStatus{
			Type: spec.Type, ContainerResource: &autoscalingv2.ContainerResourceMetricStatus{Name: r.Name, Container: r.Container, Current: value},
		}}, err
	case spec.Type == autoscalingv2.PodsMetricSourceType && spec.Pods != nil:
		return m.custom(a, spec.Pods)
	case spec.Type == autoscalingv2.ObjectMetricSourceType && spec.Object != nil:
		return m.object(a, spec.Object)
	case spec.Type == autoscalingv2.ExternalMetricSourceType && spec.External != nil:
		return m.external(a, spec.External)
	}
	return reading{}, fmt.Errorf("unknown metric source type %q", spec.Type)
}

func (m measuring) perPod(samples map[string]sample, cpu bool) perPod {
	return perPod{pods: m.pods, samples: samples, current: m.target.replicas, tolerances: tolerancesOf(m.was), cpu: cpu, now: m.now}
}

// resource reads a resource of pods, or of one container of each.
func (m measuring) resource(a answer, name corev1.ResourceName, container string, target *autoscalingv2.MetricTarget) (n int32, value autoscalingv2.MetricValueStatus, metric string, err error) {
	what := "utilization"
	if target.AverageValue != nil {
		what = "usage"
	} else if target.AverageUtilization == nil {
		return 0, value, "", errors.New("invalid resource metric source: neither an average utilization target nor an average value (usage) target was set")
	}
	fail := func(err error) (int32, autoscalingv2.MetricValueStatus, string, error) {
		return 0, autoscalingv2.MetricValueStatus{}, "", fmt.Errorf("failed to get %s %s: %w", name, what, err)
	}
	if a.err != nil {
		return fail(fmt.Errorf("unable to get metrics for resource %s: %w", name, a.err))
	}
	p := m.perPod(samplesOf(a.pods, name, container), name == corev1.ResourceCPU)
	if t := target.AverageValue; t != nil {
		aim := t.MilliValue()
		p.ratio, p.full = plain(aim), func(string) int64 { return aim }
		n, _, average, err := p.replicas()
		if err != nil {
			return fail(err)
		}
		return n, autoscalingv2.MetricValueStatus{AverageValue: quantity(name, average)}, fmt.Sprintf("%s resource", name), nil
	}
	aim := *target.AverageUtilization
	var requests map[string]int64
	p.ratio = func(samples map[string]sample) (float64, int64, int64, error) {
		if requests == nil {
			if requests, err = requestsOf(m.pods, container, name); err != nil {
				return 0, 0, 0, err
			}
		}
		return utilization(requests, aim)(samples)
	}
	p.full = func(pod string) int64 { return requests[pod] * int64(max(100, aim)) / 100 }
	n, percent, average, err := p.replicas()
	if err != nil {
		return fail(err)
	}
	used := int32(percent)
	metric = fmt.Sprintf("%s resource utilization (percentage of request)", name)
	if container != "" {
		metric = fmt.Sprintf("%s container resource utilization (percentage of request)", name)
	}
	return n, autoscalingv2.MetricValueStatus{AverageUtilization: &used, AverageValue: quantity(name, average)}, metric, nil
}

// samplesOf gives the load of each pod of which all (or that one) containers have a sample.
func samplesOf(pods []metrics.PodMetrics, name corev1.ResourceName, container string) map[string]sample {
	out := make(map[string]sample, len(pods))
	for i := range pods {
		p := &pods[i]
		var sum int64
		whole := container == "" && len(p.Containers) > 0
		for j := range p.Containers {
			c := &p.Containers[j]
			if container != "" && c.Name != container {
				continue
			}
			q, ok := c.Usage[name]
			if whole = ok; !ok {
				break
			}
			sum += q.MilliValue()
		}
		if whole {
			out[p.Name] = sample{sum, p.Timestamp.Time, p.Window.Duration}
		}
	}
	return out
}

// custom reads a metric that each pod has.
func (m measuring) custom(a answer, spec *autoscalingv2.PodsMetricSource) (reading, error) {
	if a.err != nil {
		return reading{}, fmt.Errorf("unable to get metric %s: %w", spec.Metric.Name, a.err)
	}
	if spec.Target.AverageValue == nil {
		return reading{}, errors.New("invalid pods metric source: no average value target was set")
	}
	samples := map[string]sample{}
	for i := range a.custom {
		v := &a.custom[i]
		window := usualWindow
		if v.WindowSeconds != nil {
			window = time.Duration(*v.WindowSeconds) * time.Second
		}
		samples[v.DescribedObject.Name] = sample{v.Value.MilliValue(), v.Timestamp.Time, window}
	}
	aim := spec.Target.AverageValue.MilliValue()
	p := m.perPod(samples, false)
	p.ratio, p.full = plain(aim), func(string) int64 { return aim }
	n, _, average, err := p.replicas()
	if err != nil {
		return reading{}, err
	}
	return reading{n, "pods metric " + spec.Metric.Name, autoscalingv2.MetricStatus{
		Type: autoscalingv2.PodsMetricSourceType,
		Pods: &autoscalingv2.PodsMetricStatus{Metric: spec.Metric, Current: autoscalingv2.MetricValueStatus{AverageValue: quantity("", average)}},
	}}, nil
}

// object reads a metric of one object.
func (m measuring) object(a answer, spec *autoscalingv2.ObjectMetricSource) (reading, error) {
	of, name := &spec.DescribedObject, spec.Metric.Name
	status := autoscalingv2.ObjectMetricStatus{DescribedObject: *of, Metric: spec.Metric}
	shared := spec.Target.Type == autoscalingv2.AverageValueMetricType && spec.Target.AverageValue != nil
	together := spec.Target.Type == autoscalingv2.ValueMetricType && spec.Target.Value != nil
	if !shared && !together {
		return reading{}, errors.New("invalid object metric source: neither a value target nor an average value target was set")
	}
	if a.err != nil {
		err := fmt.Errorf("unable to get metric %s on %s %s/%s: %w", name, of.Kind, m.was.Namespace, of.Name, a.err)
		if shared {
			err = fmt.Errorf("failed to get %s object metric: %w", name, err)
		}
		return reading{}, err
	}
	value := a.custom[0].Value.MilliValue()
	r := reading{metric: fmt.Sprintf("%s metric %s", of.Kind, name)}
	if shared {
		var each int64
		r.replicas, each = byShare(value, spec.Target.AverageValue.MilliValue(), m.target.running, tolerancesOf(m.was))
		r.metric = fmt.Sprintf("external metric %s(%+v)", name, spec.Metric.Selector)
		status.Current.AverageValue = quantity("", each)
	} else {
		var err error
		if r.replicas, err = byValue(value, spec.Target.Value.MilliValue(), m.target.replicas, m.pods, tolerancesOf(m.was)); err != nil {
			return reading{}, err
		}
		status.Current.Value = quantity("", value)
	}
	r.status = autoscalingv2.MetricStatus{Type: autoscalingv2.ObjectMetricSourceType, Object: &status}
	return r, nil
}

// external reads a metric of something outside the cluster, all its series together.
func (m measuring) external(a answer, spec *autoscalingv2.ExternalMetricSource) (reading, error) {
	name := spec.Metric.Name
	status := autoscalingv2.ExternalMetricStatus{Metric: spec.Metric}
	if spec.Target.AverageValue == nil && spec.Target.Value == nil {
		return reading{}, errors.New("invalid external metric source: neither a value target nor an average value target was set")
	}
	if a.err != nil {
		err := fmt.Errorf("unable to get external metric %s/%s/%+v: %w", m.was.Namespace, name, spec.Metric.Selector, a.err)
		if spec.Target.AverageValue != nil {
			return reading{}, fmt.Errorf("failed to get %s external metric: %w", name, err)
		}
		return reading{}, fmt.Errorf("failed to get external metric %s: %w", name, err)
	}
	var value int64
	for i := range a.external {
		v := a.external[i].Value.MilliValue()
		if v > 0 && value > math.MaxInt64-v {
			value = math.MaxInt64
			break
		}
		value += v
	}
	r := reading{metric: fmt.Sprintf("external metric %s(%+v)", name, spec.Metric.Selector)}
	if t := spec.Target.AverageValue; t != nil {
		var each int64
		r.replicas, each = byShare(value, t.MilliValue(), m.target.running, tolerancesOf(m.was))
		status.Current.AverageValue = quantity("", each)
	} else {
		var err error
		if r.replicas, err = byValue(value, spec.Target.Value.MilliValue(), m.target.replicas, m.pods, tolerancesOf(m.was)); err != nil {
			return reading{}, fmt.Errorf("failed to get external metric %s: %w", name, err)
		}
		status.Current.Value = quantity("", value)
	}
	r.status = autoscalingv2.MetricStatus{Type: autoscalingv2.ExternalMetricSourceType, External: &status}
	return r, nil
}

// quantity is a number of thousandths, written as people write such a resource.
func quantity(name corev1.ResourceName, milli int64) *resource.Quantity {
	format := resource.DecimalSI
	if name == corev1.ResourceMemory {
		format = resource.BinarySI
	}
	return resource.NewMilliQuantity(milli, format)
}
