package metrics

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	api "k8s.io/metrics/pkg/apis/metrics"

	"github.com/reckon-project/reckon/events"
)

// pods is the resource pods.
type pods struct {
	table
	*Reader
}

var (
	_ rest.Getter               = pods{}
	_ rest.Lister               = pods{}
	_ rest.Scoper               = pods{}
	_ rest.KindProvider         = pods{}
	_ rest.SingularNameProvider = pods{}
)

func (pods) New() runtime.Object     { return &api.PodMetrics{} }
func (pods) NewList() runtime.Object { return &api.PodMetricsList{} }
func (pods) Destroy()                {}
func (pods) Kind() string            { return "PodMetrics" }
func (pods) GetSingularName() string { return "" }
func (pods) NamespaceScoped() bool   { return true }

// Get implements rest.Getter.
func (p pods) Get(ctx context.Context, name string, _ *metav1.GetOptions) (runtime.Object, error) {
	namespace := request.NamespaceValue(ctx)
	pod, at, err := find[*corev1.Pod](ctx, p.Reader, events.Key{Resource: "pods", Namespace: namespace, Name: name})
	if err != nil {
		return nil, err
	}
	if pod != nil {
		if m := podMetrics(pod, p.Book.of(pod.Spec.NodeName, at)); m != nil {
			return m, nil
		}
	}
	return nil, apierrors.NewNotFound(api.Resource("pods"), namespace+"/"+name)
}

// List implements rest.Lister.
func (p pods) List(ctx context.Context, o *internalversion.ListOptions) (runtime.Object, error) {
	byLabel, byField := selectors(o)
	var chosen []*corev1.Pod
	at, err := p.look(ctx, "pods", request.NamespaceValue(ctx), func(o runtime.Object) {
		pod, ok := o.(*corev1.Pod)
		if ok && pod.Spec.NodeName != "" && byLabel.Matches(labels.Set(pod.Labels)) && (byField.Empty() || byField.Matches(podFields(pod))) {
			chosen = append(chosen, pod)
		}
	})
	if err != nil {
		return nil, err
	}
	list := &api.PodMetricsList{Items: []api.PodMetrics{}}
	reports := map[string]*told{}
	for _, pod := range chosen {
		t, looked := reports[pod.Spec.NodeName]
		if !looked {
			t = p.Book.of(pod.Spec.NodeName, at)
			reports[pod.Spec.NodeName] = t
		}
		if m := podMetrics(pod, t); m != nil {
			list.Items = append(list.Items, *m)
		}
	}
	return list, nil
}

func podFields(p *corev1.Pod) fields.Set {
	return fields.Set{"metadata.name": p.Name, "metadata.namespace": p.Namespace}
}
