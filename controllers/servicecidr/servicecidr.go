package servicecidr

import (
	"context"
	"net/netip"
	"slices"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

const (
	finalizer = "networking.k8s.io/service-cidr-finalizer"
	allocator = "ipallocator.k8s.io" // manages the addresses of services
	grace     = 10 * time.Second
	group     = "networking.k8s.io"
)

// New makes the controller.
func New() *controllers.Controller {
	return controllers.New("service-cidrs-controller").
		Watches(group, "servicecidrs", func(s *projections.Snapshot, c projections.Change, add func(events.Key)) {
			add(controllers.KeyOf(c))
			if c.Event != nil && (c.Old == nil || c.New == nil) {
				leaving(s, add) // another range may have their addresses now
			}
		}).
		Watches(group, "ipaddresses", func(s *projections.Snapshot, c projections.Change, add func(events.Key)) {
			if c.Event != nil && c.New == nil {
				leaving(s, add)
			}
		}).
		Writes(events.Progressed).
		Reconcile(reconcile)
}

// leaving names the ranges that wait to be gone.
func leaving(s *projections.Snapshot, add func(events.Key)) {
	for r := range projections.List[*networkingv1.ServiceCIDR](s, group, "servicecidrs", "") {
		if r.DeletionTimestamp != nil {
			add(events.Key{Group: group, Resource: "servicecidrs", Name: r.Name})
		}
	}
}

func reconcile(ctx context.Context, s *projections.Snapshot, key events.Key) (controllers.Result, error) {
	o := s.Get(key)
	if !o.Exists() {
		return controllers.Result{}, nil
	}
	r, ok := o.Value.(*networkingv1.ServiceCIDR)
	if !ok {
		return controllers.Result{}, nil
	}
	now, held := controllers.Now(ctx), slices.Contains(r.Finalizers, finalizer)
	changed := r.DeepCopy()
	switch {
	case r.DeletionTimestamp == nil && !held:
		changed.Finalizers = append(changed.Finalizers, finalizer)
		return controllers.Do(controllers.Patch(o, changed)), nil
	case r.DeletionTimestamp == nil:
		if meta.IsStatusConditionTrue(r.Status.Conditions, networkingv1.ServiceCIDRConditionReady) {
			return controllers.Result{}, nil
		}
		return controllers.Do(condition(o, changed, now, metav1.ConditionTrue, "", "Kubernetes Service CIDR is ready")), nil
	case !held:
		return controllers.Result{}, nil
	case needed(s, r):
		if c := meta.FindStatusCondition(r.Status.Conditions, networkingv1.ServiceCIDRConditionReady); c != nil && c.Status == metav1.ConditionFalse {
			return controllers.Result{}, nil
		}
		return controllers.Do(condition(o, changed, now, metav1.ConditionFalse, networkingv1.ServiceCIDRReasonTerminating,
			"There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR")), nil
	}
	if wait := r.DeletionTimestamp.Add(grace).Sub(now); wait > 0 {
		return controllers.Result{RequeueAfter: wait}, nil
	}
	changed.Finalizers = slices.DeleteFunc(changed.Finalizers, func(f string) bool { return f == finalizer })
	return controllers.Do(controllers.Patch(o, changed)), nil
}

func condition(o *events.Object, r *networkingv1.ServiceCIDR, now time.Time, status metav1.ConditionStatus, reason, message string) controllers.Intent {
	at := metav1.NewTime(now.Truncate(time.Second))
	c := metav1.Condition{Type: networkingv1.ServiceCIDRConditionReady, Status: status, Reason: reason, Message: message, LastTransitionTime: at}
	meta.SetStatusCondition(&r.Status.Conditions, c)
	return controllers.Progressed(o, r)
}

// needed reports that a service's address lies in this range and in no other.
func needed(s *projections.Snapshot, r *networkingv1.ServiceCIDR) bool {
	mine := prefixes(r)
	var others []netip.Prefix
	for other := range projections.List[*networkingv1.ServiceCIDR](s, group, "servicecidrs", "") {
		if other.UID != r.UID {
			others = append(others, prefixes(other)...)
		}
	}
	holds := func(ranges []netip.Prefix, a netip.Addr) bool {
		return slices.ContainsFunc(ranges, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	for ip := range projections.List[*networkingv1.IPAddress](s, group, "ipaddresses", "") {
		a, err := netip.ParseAddr(ip.Name)
		if err == nil && ip.Labels[networkingv1.LabelManagedBy] == allocator && holds(mine, a) && !holds(others, a) {
			return true
		}
	}
	return false
}

func prefixes(r *networkingv1.ServiceCIDR) (out []netip.Prefix) {
	for _, text := range r.Spec.CIDRs {
		if p, err := netip.ParsePrefix(text); err == nil {
			out = append(out, p)
		}
	}
	return out
}
