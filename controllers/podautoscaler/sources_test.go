package podautoscaler

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
)

func average(q string) autoscalingv2.MetricTarget {
	return autoscalingv2.MetricTarget{Type: autoscalingv2.AverageValueMetricType, AverageValue: p(resource.MustParse(q))}
}

func value(q string) autoscalingv2.MetricTarget {
	return autoscalingv2.MetricTarget{Type: autoscalingv2.ValueMetricType, Value: p(resource.MustParse(q))}
}

// TestSources: each sort of metric asks its API, and scales two replicas by the answer.
func TestSources(t *testing.T) {
	rps := autoscalingv2.MetricIdentifier{Name: "rps", Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"verb": "GET"}}}
	items := func(items ...any) any { return map[string]any{"items": items} }
	for name, test := range map[string]struct {
		metric autoscalingv2.MetricSpec
		path   string // asked, with its query
		answer any    // nil: that of the resource metrics API
		want   int32
		status string
	}{
		"resource, average value": {
			metric: autoscalingv2.MetricSpec{Type: autoscalingv2.ResourceMetricSourceType, Resource: &autoscalingv2.ResourceMetricSource{Name: corev1.ResourceMemory, Target: average("20Mi")}},
			path:   "/apis/metrics.k8s.io/v1beta1/namespaces/default/pods?labelSelector=app%3Dweb", want: 4, status: `"averageValue":"40Mi"`,
		},
		"container resource": {
			metric: autoscalingv2.MetricSpec{Type: autoscalingv2.ContainerResourceMetricSourceType, ContainerResource: &autoscalingv2.ContainerResourceMetricSource{
				Name: corev1.ResourceMemory, Container: "c", Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: p(int32(10))},
			}},
			path: "/apis/metrics.k8s.io/v1beta1/namespaces/default/pods?labelSelector=app%3Dweb", want: 4, status: `"container":"c"`,
		},
		"pods": {
			metric: autoscalingv2.MetricSpec{Type: autoscalingv2.PodsMetricSourceType, Pods: &autoscalingv2.PodsMetricSource{Metric: rps, Target: average("10")}},
			path:   "/apis/custom.metrics.k8s.io/v1beta2/namespaces/default/pods/%2A/rps?labelSelector=app%3Dweb&metricLabelSelector=verb%3DGET",
			answer: "each pod 15", want: 3, status: `"averageValue":"15"`,
		},
		"object, value": {
			metric: autoscalingv2.MetricSpec{Type: autoscalingv2.ObjectMetricSourceType, Object: &autoscalingv2.ObjectMetricSource{
				Metric: rps, Target: value("10"), DescribedObject: autoscalingv2.CrossVersionObjectReference{APIVersion: "networking.k8s.io/v1", Kind: "Ingress", Name: "front"},
			}},
			path:   "/apis/custom.metrics.k8s.io/v1beta2/namespaces/default/ingresses.networking.k8s.io/front/rps?metricLabelSelector=verb%3DGET",
			answer: items(map[string]any{"value": "20"}), want: 4, status: `"current":{"value":"20"}`,
		},
		"object, share of a namespace's": {
			metric: autoscalingv2.MetricSpec{Type: autoscalingv2.ObjectMetricSourceType, Object: &autoscalingv2.ObjectMetricSource{
				Metric: rps, Target: average("10"), DescribedObject: autoscalingv2.CrossVersionObjectReference{APIVersion: "v1", Kind: "Namespace", Name: "default"},
			}},
			path:   "/apis/custom.metrics.k8s.io/v1beta2/namespaces/default/metrics/rps?metricLabelSelector=verb%3DGET",
			answer: items(map[string]any{"value": "31"}), want: 4, status: `"averageValue":"15500m"`,
		},
		"external, all series together": {
			metric: autoscalingv2.MetricSpec{Type: autoscalingv2.ExternalMetricSourceType, External: &autoscalingv2.ExternalMetricSource{Metric: rps, Target: average("10")}},
			path:   "/apis/external.metrics.k8s.io/v1beta1/namespaces/default/rps?labelSelector=verb%3DGET",
			answer: items(map[string]any{"value": "20"}, map[string]any{"value": "10"}), want: 3, status: `"averageValue":"15"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, a := start(t)
				defer w.Stop()
				w.Create(controllers.Deployment, web(2))
				w.Advance(time.Second)
				path, _, _ := strings.Cut(test.path, "?")
				switch test.answer.(type) {
				case nil:
					a.set(map[corev1.ResourceName]string{corev1.ResourceMemory: "40Mi"})
					if strings.Contains(test.status, "container") {
						a.set(map[corev1.ResourceName]string{corev1.ResourceMemory: "20Mi"})
					}
				case string:
					var each []any
					for o := range w.Snapshot().List("", "pods", "default") {
						each = append(each, map[string]any{"describedObject": map[string]any{"name": o.Key.Name}, "value": "15"})
					}
					a.answers[path] = items(each...)
				default:
					a.answers[path] = test.answer
				}
				w.Create(controllers.HorizontalPodAutoscaler, hpa(1, 10, test.metric))
				w.Advance(time.Second)
				if asked := a.questions(); !slices.Equal(asked, []string{test.path}) {
					t.Errorf("asked %q", asked)
				}
				if got := *controllertest.Get[*appsv1.Deployment](w, webKey).Spec.Replicas; got != test.want || !strings.Contains(show(w), test.status) {
					t.Errorf("the target has %d replicas, not %d:\n%s", got, test.want, show(w))
				}
			})
		})
	}
}

// TestSomeMetricsFail: with what can be had there may be more replicas, never fewer.
func TestSomeMetricsFail(t *testing.T) {
	external := autoscalingv2.MetricSpec{Type: autoscalingv2.ExternalMetricSourceType, External: &autoscalingv2.ExternalMetricSource{
		Metric: autoscalingv2.MetricIdentifier{Name: "queue"}, Target: value("10"),
	}}
	for load, want := range map[string]int32{"100Mi": 4, "10Mi": 2} {
		synctest.Test(t, func(t *testing.T) {
			w, a := start(t)
			defer w.Stop()
			a.set(map[corev1.ResourceName]string{corev1.ResourceMemory: load})
			w.Create(controllers.Deployment, web(2))
			w.Advance(time.Second)
			w.Create(controllers.HorizontalPodAutoscaler, hpa(1, 10, external, memoryUse(50)))
			w.Advance(10 * time.Minute)
			if got := *controllertest.Get[*appsv1.Deployment](w, webKey).Spec.Replicas; (want > 2) != (got > 2) || got < 2 {
				t.Errorf("at %s the target has %d replicas", load, got)
			}
		})
	}
}

// TestTargets: what can't be scaled says so in Kubernetes' words, and what can is
// scaled whatever its kind.
func TestTargets(t *testing.T) {
	for name, test := range map[string]struct {
		of   autoscalingv2.CrossVersionObjectReference
		more func(w *controllertest.World)
		want string
	}{
		"not there":    {of: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "none"}, want: `AbleToScale False FailedGetScale: the HPA controller was unable to get the target's current scale: deployments/scale.apps "none" not found`},
		"no such kind": {of: autoscalingv2.CrossVersionObjectReference{APIVersion: "example.com/v1", Kind: "Widget", Name: "a"}, want: `AbleToScale False FailedGetScale: the HPA controller was unable to get the target's current scale: no matches for kind "Widget" in version "example.com/v1"`},
		"no selector": {
			of: autoscalingv2.CrossVersionObjectReference{APIVersion: "example.com/v1", Kind: "Widget", Name: "a"}, more: widget(""),
			want: "ScalingActive False InvalidSelector: the HPA target's scale is missing a selector",
		},
		"a custom resource": {
			of: autoscalingv2.CrossVersionObjectReference{APIVersion: "example.com/v1", Kind: "Widget", Name: "a"}, more: widget("app=web"),
			want: "AbleToScale True SucceededRescale: the HPA controller was able to update the target scale to 4",
		},
		"two for the same pods": {
			of: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "web"}, more: func(w *controllertest.World) {
				other := hpa(1, 3, memoryUse(50))
				other.Name = "also"
				w.Create(controllers.HorizontalPodAutoscaler, other)
			},
			want: "ScalingActive False AmbiguousSelector: pods by selector app=web are controlled by more than one HPA (e.g. [default/also default/web])",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, a := start(t)
				defer w.Stop()
				a.set(map[corev1.ResourceName]string{corev1.ResourceMemory: "100Mi"})
				w.Create(controllers.Deployment, web(2))
				w.Advance(time.Second)
				if test.more != nil {
					test.more(w)
				}
				h := hpa(1, 10, memoryUse(50))
				h.Spec.ScaleTargetRef = test.of
				w.Create(controllers.HorizontalPodAutoscaler, h)
				w.Advance(time.Second)
				if got := show(w); !strings.Contains(got, test.want) {
					t.Errorf("status is\n%s", got)
				}
			})
		})
	}
}

// widget makes a custom resource with a scale subresource.
func widget(selector string) func(*controllertest.World) {
	return func(w *controllertest.World) {
		w.Create(controllers.Kind{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}, &apiextensionsv1.CustomResourceDefinition{
			ObjectMeta: metav1.ObjectMeta{Name: "widgets.example.com"},
			Spec: apiextensionsv1.CustomResourceDefinitionSpec{
				Group: "example.com", Scope: apiextensionsv1.NamespaceScoped,
				Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: "widgets", Kind: "Widget"},
				Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
					Name: "v1", Served: true, Storage: true, Subresources: &apiextensionsv1.CustomResourceSubresources{Scale: &apiextensionsv1.CustomResourceSubresourceScale{
						SpecReplicasPath: ".spec.replicas", StatusReplicasPath: ".status.replicas", LabelSelectorPath: p(".status.selector"),
					}},
				}},
			},
		})
		w.Create(controllers.Kind{Group: "example.com", Version: "v1", Resource: "widgets"}, &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "example.com/v1", "kind": "Widget", "metadata": map[string]any{"name": "a", "namespace": "default"},
			"spec": map[string]any{"replicas": int64(2)}, "status": map[string]any{"replicas": int64(2), "selector": selector},
		}})
	}
}
