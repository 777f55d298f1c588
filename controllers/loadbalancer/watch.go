package loadbalancer

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

func serviceOf(o *events.Object) *corev1.Service {
	if !o.Exists() {
		return nil
	}
	svc, _ := o.Value.(*corev1.Service)
	return svc
}

// serviceChanged maps a service to itself, and one that may have left ports to
// others to all that want some.
func serviceChanged(s *projections.Snapshot, c projections.Change, add func(events.Key)) {
	old, svc := serviceOf(c.Old), serviceOf(c.New)
	if !balances(old) && !balances(svc) {
		return
	}
	add(controllers.KeyOf(c))
	if ours(old) && (!ours(svc) || !apiequality.Semantic.DeepEqual(old.Spec.Ports, svc.Spec.Ports)) {
		all(s, add)
	}
}

// balances reports a service that is, or was, this controller's.
func balances(svc *corev1.Service) bool {
	return ours(svc) || svc != nil && slices.Contains(svc.Finalizers, cleanup)
}

func all(s *projections.Snapshot, add func(events.Key)) {
	for svc := range projections.List[*corev1.Service](s, "", "services", "") {
		if ours(svc) {
			add(controllers.Service.Key(svc.Namespace, svc.Name))
		}
	}
}

// nodeChanged maps a node that takes traffic otherwise than before to all
// services.
func nodeChanged(s *projections.Snapshot, c projections.Change, add func(events.Key)) {
	if c.Event == nil {
		return // services come by as well
	}
	old, node := nodeOf(c.Old), nodeOf(c.New)
	was, is := old != nil && takes(old), node != nil && takes(node)
	if was == is && (!is || slices.Equal(old.Status.Addresses, node.Status.Addresses)) {
		return
	}
	all(s, add)
}

func nodeOf(o *events.Object) *corev1.Node {
	if !o.Exists() {
		return nil
	}
	node, _ := o.Value.(*corev1.Node)
	return node
}

// sliceChanged maps a slice to its service if that keeps traffic on its nodes.
func sliceChanged(s *projections.Snapshot, c projections.Change, add func(events.Key)) {
	for _, o := range []*events.Object{c.Old, c.New} {
		if !o.Exists() {
			continue
		}
		key := controllers.Service.Key(o.Key.Namespace, o.Meta().GetLabels()[discoveryv1.LabelServiceName])
		if svc := serviceOf(s.Get(key)); ours(svc) && svc.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal {
			add(key)
		}
	}
}
