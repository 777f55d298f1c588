package loadbalancer

import (
	"context"
	"encoding/json"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

const (
	cleanup  = "service.kubernetes.io/load-balancer-cleanup"
	noClass  = ""
	failed   = "SyncLoadBalancerFailed"
	balanced = "EnsuredLoadBalancer"
)

// New makes the controller. Reserved are TCP ports of the nodes that no service gets.
func New(reserved ...int32) *controllers.Controller {
	b := balancer{reserved}
	return controllers.New("service-controller").
		Watches("", "services", serviceChanged).
		Watches("", "nodes", nodeChanged).
		Watches("discovery.k8s.io", "endpointslices", sliceChanged).
		Reconcile(b.reconcile)
}

type balancer struct{ reserved []int32 }

// ours reports a service that wants addresses of this controller.
func ours(svc *corev1.Service) bool {
	return svc != nil && svc.DeletionTimestamp == nil && svc.Spec.Type == corev1.ServiceTypeLoadBalancer && class(svc) == noClass
}

func class(svc *corev1.Service) string {
	if c := svc.Spec.LoadBalancerClass; c != nil {
		return *c
	}
	return noClass
}

func (b balancer) reconcile(_ context.Context, s *projections.Snapshot, key events.Key) (controllers.Result, error) {
	o := s.Get(key)
	svc := serviceOf(o)
	if svc == nil || class(svc) != noClass {
		return controllers.Result{}, nil
	}
	held := slices.Contains(svc.Finalizers, cleanup)
	if !ours(svc) {
		if !held {
			return controllers.Result{}, nil
		}
		finalizers := slices.DeleteFunc(slices.Clone(svc.Finalizers), func(f string) bool { return f == cleanup })
		return change(o, finalizers, nil, "DeletedLoadBalancer", "Deleted load balancer")
	}
	finalizers := svc.Finalizers
	if !held {
		finalizers = append(slices.Clone(finalizers), cleanup)
	}
	ingress, why := []corev1.LoadBalancerIngress(nil), b.taken(s, svc)
	if why == "" {
		if ingress = addresses(s, svc); len(ingress) == 0 {
			why = "no node can take its traffic"
		}
	}
	if held && apiequality.Semantic.DeepEqual(svc.Status.LoadBalancer.Ingress, ingress) {
		return controllers.Result{}, nil
	}
	if why != "" {
		return change(o, finalizers, ingress, failed, "Error syncing load balancer: "+why)
	}
	return change(o, finalizers, ingress, balanced, "Ensured load balancer")
}

// change writes the finalizers and addresses by the status subresource, as the
// service account of this controller may.
func change(o *events.Object, finalizers []string, ingress []corev1.LoadBalancerIngress, reason, note string) (controllers.Result, error) {
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"finalizers": finalizers, "resourceVersion": o.Meta().GetResourceVersion()},
		"status":   map[string]any{"loadBalancer": map[string]any{"ingress": ingress}},
	})
	if err != nil {
		return controllers.Result{}, err
	}
	i := controllers.MergePatch(o, patch)
	i.Subresource = "status"
	return controllers.Do(i.Because(reason, "%s", note)), nil
}

// taken says who has a port of the service; "": nobody.
func (b balancer) taken(s *projections.Snapshot, svc *corev1.Service) string {
	for i := range svc.Spec.Ports {
		if p := &svc.Spec.Ports[i]; p.Protocol != corev1.ProtocolUDP && slices.Contains(b.reserved, p.Port) {
			return "the cluster itself listens on one of its ports"
		}
	}
	for other := range projections.List[*corev1.Service](s, "", "services", "") {
		if other.UID != svc.UID && ours(other) && older(other, svc) && overlap(other, svc) && b.taken(s, other) == "" {
			return "service " + other.Namespace + "/" + other.Name + " has one of its ports"
		}
	}
	return ""
}

func older(a, b *corev1.Service) bool {
	if at, bt := a.CreationTimestamp, b.CreationTimestamp; !at.Equal(&bt) {
		return at.Before(&bt)
	}
	return a.UID < b.UID
}

func overlap(a, b *corev1.Service) bool {
	for i := range a.Spec.Ports {
		for j := range b.Spec.Ports {
			if a.Spec.Ports[i].Port == b.Spec.Ports[j].Port && protocol(&a.Spec.Ports[i]) == protocol(&b.Spec.Ports[j]) {
				return true
			}
		}
	}
	return false
}

func protocol(p *corev1.ServicePort) corev1.Protocol {
	if p.Protocol == "" {
		return corev1.ProtocolTCP
	}
	return p.Protocol
}
