package resourceclaim

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// NewClaims makes the controller of who uses a claim.
func NewClaims() *controllers.Controller {
	return controllers.New(account).
		For("resource.k8s.io", "resourceclaims").
		Watches("", "pods", userChanged).
		Writes(events.Progressed).
		Reconcile(reconcileClaim)
}

// userChanged maps a pod that doesn't use its claims any more to them.
func userChanged(_ *projections.Snapshot, c projections.Change, add func(events.Key)) {
	old, pod := podOf(c.Old), podOf(c.New)
	if pod != nil && !done(pod) && (old == nil || old.UID == pod.UID) {
		return
	}
	for _, p := range []*corev1.Pod{old, pod} {
		if p == nil {
			continue
		}
		for i := range p.Spec.ResourceClaims {
			if name := p.Spec.ResourceClaims[i].ResourceClaimName; name != nil {
				add(controllers.ResourceClaim.Key(p.Namespace, *name))
			}
		}
		for _, status := range p.Status.ResourceClaimStatuses {
			if status.ResourceClaimName != nil {
				add(controllers.ResourceClaim.Key(p.Namespace, *status.ResourceClaimName))
			}
		}
		if x := p.Status.ExtendedResourceClaimStatus; x != nil {
			add(controllers.ResourceClaim.Key(p.Namespace, x.ResourceClaimName))
		}
	}
}

func reconcileClaim(_ context.Context, s *projections.Snapshot, key events.Key) (controllers.Result, error) {
	o := s.Get(key)
	claim := claimOf(o)
	if claim == nil {
		return controllers.Result{}, nil
	}
	left := users(s, claim)
	ours := slices.Contains(claim.Finalizers, resourcev1.Finalizer)
	going := claim.DeletionTimestamp != nil
	switch {
	case len(left) < len(claim.Status.ReservedFor):
		changed := claim.DeepCopy()
		changed.Status.ReservedFor = left
		if len(left) == 0 && ours {
			changed.Status.Allocation = nil
			if !going {
				changed.Finalizers = without(claim.Finalizers)
			}
		}
		return controllers.Do(controllers.Progressed(o, changed)), nil
	case len(left) > 0:
		return controllers.Result{}, nil
	case going && ours && claim.Status.Allocation != nil:
		changed := claim.DeepCopy()
		changed.Status.Allocation = nil
		return controllers.Do(controllers.Progressed(o, changed)), nil
	case going && ours:
		changed := claim.DeepCopy()
		changed.Finalizers = without(claim.Finalizers)
		return controllers.Do(controllers.Update(o, changed)), nil
	case going:
		return controllers.Result{}, nil
	}
	if pod, _, ok := controllers.Pod.ControllerOf(o); ok {
		// A pod that is gone altogether leaves it to the garbage collector.
		if owner := podOf(s.Get(pod)); owner != nil && (owner.UID != controllers.ControllerRef(claim).UID || done(owner)) {
			return controllers.Do(controllers.Delete(o)), nil
		}
	}
	return controllers.Result{}, nil
}

// users are the claim's reservations that hold: of pods that may still run, and
// of whatever else there may be.
func users(s *projections.Snapshot, claim *resourcev1.ResourceClaim) []resourcev1.ResourceClaimConsumerReference {
	var out []resourcev1.ResourceClaimConsumerReference
	for _, r := range claim.Status.ReservedFor {
		if r.APIGroup == "" && r.Resource == "pods" {
			if pod := podOf(s.Get(controllers.Pod.Key(claim.Namespace, r.Name))); pod == nil || pod.UID != r.UID || done(pod) {
				continue
			}
		}
		out = append(out, r)
	}
	return out
}

func without(finalizers []string) []string {
	return slices.DeleteFunc(slices.Clone(finalizers), func(f string) bool { return f == resourcev1.Finalizer })
}
