package podautoscaler

import (
	"net/url"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// The groups of the metrics APIs.
const (
	resourceMetrics = "metrics.k8s.io"
	customMetrics   = "custom.metrics.k8s.io"
	externalMetrics = "external.metrics.k8s.io"
)

// question is one request to a metrics API.
type question struct {
	group    string
	resource string // what is asked for, as errors name it
	name     string
	path     string // with its query
}

// questionsOf are the questions whose answers an autoscaler's metrics need.
func questionsOf(s *projections.Snapshot, hpa *autoscalingv2.HorizontalPodAutoscaler, t *target) []question {
	var out []question
	for i := range hpa.Spec.Metrics {
		if q, err := questionOf(s, hpa.Namespace, &hpa.Spec.Metrics[i], t.selector); err == nil && q.path != "" {
			out = append(out, q)
		}
	}
	return out
}

// questionOf is the question that one metric asks.
func questionOf(s *projections.Snapshot, namespace string, m *autoscalingv2.MetricSpec, pods string) (question, error) {
	space := "/namespaces/" + namespace
	switch {
	case (m.Type == autoscalingv2.ResourceMetricSourceType && m.Resource != nil) || (m.Type == autoscalingv2.ContainerResourceMetricSourceType && m.ContainerResource != nil):
		path := "/apis/" + resourceMetrics + "/v1beta1" + space + "/pods"
		return question{resourceMetrics, "pods", "", path + query("labelSelector", pods)}, nil
	case m.Type == autoscalingv2.PodsMetricSourceType && m.Pods != nil:
		selector, err := metav1.LabelSelectorAsSelector(m.Pods.Metric.Selector)
		if err != nil {
			return question{}, err
		}
		path := customRoot(s) + space + "/pods/%2A/" + url.PathEscape(m.Pods.Metric.Name)
		return question{customMetrics, "pods", m.Pods.Metric.Name, path + query("labelSelector", pods, "metricLabelSelector", metricSelector(m.Pods.Metric.Selector, selector))}, nil
	case m.Type == autoscalingv2.ObjectMetricSourceType && m.Object != nil:
		selector, err := metav1.LabelSelectorAsSelector(m.Object.Metric.Selector)
		if err != nil {
			return question{}, err
		}
		resource := resourceOf(s, m.Object.DescribedObject)
		path := customRoot(s) + space + "/" + resource + "/" + url.PathEscape(m.Object.DescribedObject.Name) + "/"
		if resource == "namespaces" {
			path = customRoot(s) + space + "/metrics/"
		}
		return question{customMetrics, resource, m.Object.Metric.Name, path + url.PathEscape(m.Object.Metric.Name) + query("metricLabelSelector", metricSelector(m.Object.Metric.Selector, selector))}, nil
	case m.Type == autoscalingv2.ExternalMetricSourceType && m.External != nil:
		selector, err := metav1.LabelSelectorAsSelector(m.External.Metric.Selector)
		if err != nil {
			return question{}, err
		}
		path := "/apis/" + externalMetrics + "/v1beta1" + space + "/" + url.PathEscape(m.External.Metric.Name)
		return question{externalMetrics, m.External.Metric.Name, "", path + query("labelSelector", metricSelector(m.External.Metric.Selector, selector))}, nil
	}
	return question{}, nil
}

// metricSelector is how a metric's selector is sent; none selects every series.
func metricSelector(given *metav1.LabelSelector, parsed labels.Selector) string {
	if given == nil {
		return ""
	}
	return parsed.String()
}

func query(pairs ...string) string {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			v.Set(pairs[i], pairs[i+1])
		}
	}
	if len(v) == 0 {
		return ""
	}
	return "?" + v.Encode()
}

// customRoot is the newest version of the custom metrics API that is registered.
func customRoot(s *projections.Snapshot) string {
	for _, version := range []string{"v1beta2", "v1beta1"} {
		if s.Get(events.Key{Group: "apiregistration.k8s.io", Resource: "apiservices", Name: version + "." + customMetrics}).Exists() {
			return "/apis/" + customMetrics + "/" + version
		}
	}
	return "/apis/" + customMetrics + "/v1beta2"
}

// resourceOf is the resource of a referenced kind, with its group.
func resourceOf(s *projections.Snapshot, ref autoscalingv2.CrossVersionObjectReference) string {
	gvk := schema.FromAPIVersionAndKind(ref.APIVersion, ref.Kind)
	for crd := range projections.List[*apiextensionsv1.CustomResourceDefinition](s, "apiextensions.k8s.io", "customresourcedefinitions", "") {
		if crd.Spec.Group == gvk.Group && crd.Spec.Names.Kind == gvk.Kind {
			return schema.GroupResource{Group: gvk.Group, Resource: crd.Spec.Names.Plural}.String()
		}
	}
	plural, _ := meta.UnsafeGuessKindToResource(gvk)
	return plural.GroupResource().String()
}
