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
	"k8s.io/apiserver/pkg/registry/rest"
	api "k8s.io/metrics/pkg/apis/metrics"

	"github.com/reckon-project/reckon/events"
)

// nodes is the resource nodes.
type nodes struct {
	table
	*Reader
}

var (
	_ rest.Getter               = nodes{}
	_ rest.Lister               = nodes{}
	_ rest.Scoper               = nodes{}
	_ rest.KindProvider         = nodes{}
	_ rest.SingularNameProvider = nodes{}
)

func (nodes) New() runtime.Object     { return &api.NodeMetrics{} }
func (nodes) NewList() runtime.Object { return &api.NodeMetricsList{} }
func (nodes) Destroy()                {}
func (nodes) Kind() string            { return "NodeMetrics" }
func (nodes) GetSingularName() string { return "" }
func (nodes) NamespaceScoped() bool   { return false }

// Get implements rest.Getter.
func (n nodes) Get(ctx context.Context, name string, _ *metav1.GetOptions) (runtime.Object, error) {
	node, at, err := find[*corev1.Node](ctx, n.Reader, events.Key{Resource: "nodes", Name: name})
	if err != nil {
		return nil, err
	}
	if node != nil {
		if m := nodeMetrics(node, n.Book.of(name, at)); m != nil {
			return m, nil
		}
	}
	return nil, apierrors.NewNotFound(api.Resource("nodes"), name)
}

// List implements rest.Lister.
func (n nodes) List(ctx context.Context, o *internalversion.ListOptions) (runtime.Object, error) {
	byLabel, byField := selectors(o)
	var chosen []*corev1.Node
	at, err := n.look(ctx, "nodes", "", func(o runtime.Object) {
		if node, ok := o.(*corev1.Node); ok && byLabel.Matches(labels.Set(node.Labels)) && byField.Matches(fields.Set{"metadata.name": node.Name}) {
			chosen = append(chosen, node)
		}
	})
	if err != nil {
		return nil, err
	}
	list := &api.NodeMetricsList{Items: []api.NodeMetrics{}}
	for _, node := range chosen {
		if m := nodeMetrics(node, n.Book.of(node.Name, at)); m != nil {
			list.Items = append(list.Items, *m)
		}
	}
	return list, nil
}
