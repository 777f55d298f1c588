package scheduler

import (
	"context"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/dynamic-resource-allocation/resourceclaim"

	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// devicePlan is what a pod's resource claims lack before it can use them on a node.
type devicePlan struct {
	waits  bool // for writes of this or another pod, or for devices to be made ready
	writes []deviceWrite
}

// deviceWrite is one claim's: it gets devices, or a user, or both.
type deviceWrite struct {
	claim      *resourcev1.ResourceClaim
	allocation *resourcev1.AllocationResult // nil: it has one
}

// planDevices is what the claims of a pod of a class lack on a node; false if they can't be used
// there: the class was judged before a claim changed, or a device is late, so that
// others may be tried.
func (c *cluster) planDevices(pod *corev1.Pod, cl *class, n *node, now time.Time) (plan devicePlan, expired, ok bool) {
	d := &c.devices
	w := d.wantedBy(pod)
	if w == nil {
		return plan, false, true
	}
	if w.problem != "" || slices.ContainsFunc(w.where, func(a allocatedFor) bool { return !a.on(n.object) }) {
		return plan, false, false
	}
	if cl.wanted != nil && len(cl.wanted.open) == len(w.open) {
		w.found = cl.wanted.found // its pods' claims ask for the same
	}
	var results []resourcev1.AllocationResult
	if len(w.open) > 0 {
		if results = w.allocate(n).results; len(results) != len(w.open) {
			return plan, false, false
		}
	}
	for _, claim := range w.all {
		a := d.assumed[claim.UID]
		open := slices.Index(w.open, claim)
		switch {
		case open >= 0:
			plan.writes = append(plan.writes, deviceWrite{claim, &results[open]})
		case a != nil && a.unsure && a.allocation != nil:
			plan.writes = append(plan.writes, deviceWrite{claim, a.allocation})
		case a != nil && a.isFor(pod.UID):
			plan.waits = true
		case !resourceclaim.IsReservedForPod(pod, claim, true):
			plan.writes = append(plan.writes, deviceWrite{claim, nil})
		case !readyForBinding(claim):
			if at := claim.Status.Allocation.AllocationTimestamp; at != nil && !now.Before(at.Add(bindWithin)) {
				return plan, true, false
			}
			plan.waits = true
		}
	}
	plan.waits = plan.waits || len(plan.writes) > 0
	return plan, false, true
}

// isFor reports that a pod has to wait for what is being written.
func (a *assumedClaim) isFor(pod types.UID) bool {
	_, ok := a.pods[pod]
	return ok || a.allocation != nil
}

// assume takes the devices in the view, and gives what has to be written so that it is so.
func (p devicePlan) assume(c *cluster, pod *corev1.Pod, now time.Time) (writes []claimWrite) {
	for _, w := range p.writes {
		claim, d := w.claim, &c.devices
		a := d.assumed[claim.UID]
		if a == nil {
			a = &assumedClaim{key: claimKey(claim), pods: map[types.UID]struct{}{}}
			d.assumed[claim.UID] = a
		}
		a.pods[pod.UID] = struct{}{}
		path := "/apis/resource.k8s.io/v1/namespaces/" + claim.Namespace + "/resourceclaims/" + claim.Name
		status := map[string]any{"reservedFor": []resourcev1.ResourceClaimConsumerReference{{Resource: "pods", Name: pod.Name, UID: pod.UID}}}
		if w.allocation != nil {
			given := w.allocation.DeepCopy()
			if given.AllocationTimestamp == nil {
				given.AllocationTimestamp = &metav1.Time{Time: now.Truncate(time.Second)}
			}
			a.allocation, a.by, a.unsure = given, pod.UID, false
			c.give(claim.UID, given)
			status["allocation"] = given
			if !slices.Contains(claim.Finalizers, resourcev1.Finalizer) {
				writes = append(writes, claimWrite{path: path, strategic: true, patch: map[string]any{
					"metadata": map[string]any{"uid": claim.UID, "finalizers": []string{resourcev1.Finalizer}}}})
			}
		}
		writes = append(writes, claimWrite{path: path + "/status", strategic: true, claim: claim.UID,
			patch: map[string]any{"metadata": map[string]any{"uid": claim.UID}, "status": status}})
	}
	return writes
}

func claimKey(claim *resourcev1.ResourceClaim) events.Key {
	return events.Key{Group: resourcev1.GroupName, Resource: "resourceclaims", Namespace: claim.Namespace, Name: claim.Name}
}

// unassumeDevices takes in that a claim couldn't be written for a pod, or, unsure, that
// nobody knows.
func (l *loop) unassumeDevices(claim, pod types.UID, unsure bool) {
	d := &l.cluster.devices
	a := d.assumed[claim]
	if a == nil {
		return
	}
	delete(a.pods, pod)
	if a.by == pod && a.allocation != nil {
		if a.unsure = unsure; unsure {
			return
		}
		a.allocation = nil
	}
	if len(a.pods) == 0 && a.allocation == nil {
		delete(d.assumed, claim)
	}
	if folded := d.claims[a.key]; folded != nil && folded.UID == claim && a.allocation == nil {
		l.cluster.give(claim, folded.Status.Allocation)
	}
	l.claimChanged(a.key)
}

// unassume takes back what a plan took, before anything of it was written.
func (l *loop) unassume(p *pending, writes []claimWrite) {
	for _, w := range writes {
		l.unassumeDevices(w.claim, p.pod.UID, false)
	}
}

// Which devices freeUnused takes away.
type unused uint8

const (
	inTheWay unused = iota // they keep the pod from some node
	late                   // they aren't ready in time
	anyway                 // its gang doesn't fit
)

// freeUnused takes the devices away from one claim of a pod that fits nowhere, if nobody
// else uses them: the pod may have others, or others may have them.
func (l *loop) freeUnused(ctx context.Context, p *pending, which unused) {
	if p.claims == nil {
		return
	}
	w := l.cluster.devices.wantedBy(p.pod)
	if w == nil || w.problem != "" {
		return
	}
	for i := range w.where {
		at := &w.where[i]
		claim := at.claim
		others := slices.ContainsFunc(claim.Status.ReservedFor, func(r resourcev1.ResourceClaimConsumerReference) bool { return r.UID != p.pod.UID })
		if claim.Status.Allocation == nil || others || l.cluster.devices.assumed[claim.UID] != nil {
			continue
		}
		if which == late && readyForBinding(claim) || which == inTheWay && !l.cluster.keepsAway(at) {
			continue
		}
		l.attempts++
		p.attempt = l.attempts
		l.writes.start(ctx, p, []claimWrite{{
			path: "/apis/resource.k8s.io/v1/namespaces/" + claim.Namespace + "/resourceclaims/" + claim.Name + "/status",
			patch: map[string]any{
				"metadata": map[string]any{"uid": claim.UID, "resourceVersion": claim.ResourceVersion},
				"status":   map[string]any{"allocation": nil, "devices": nil, "reservedFor": nil},
			},
		}})
		return
	}
}

// keepsAway reports that a claim's devices can't be used on some node.
func (c *cluster) keepsAway(at *allocatedFor) bool {
	return slices.ContainsFunc(c.nodes, func(n *node) bool { return n != nil && n.object != nil && !at.on(n.object) })
}

// readyForBinding reports that a claim's devices have the conditions without which no
// pod may be bound.
func readyForBinding(claim *resourcev1.ResourceClaim) bool {
	if claim.Status.Allocation == nil {
		return true
	}
	return !slices.ContainsFunc(claim.Status.Allocation.Devices.Results, func(r resourcev1.DeviceRequestAllocationResult) bool {
		has := conditionsOf(claim, &r)
		return slices.ContainsFunc(r.BindingConditions, func(c string) bool { return !meta.IsStatusConditionTrue(has, c) })
	})
}

// failedBinding reports that a device says it never will have them.
func failedBinding(claim *resourcev1.ResourceClaim) bool {
	if claim.Status.Allocation == nil {
		return false
	}
	return slices.ContainsFunc(claim.Status.Allocation.Devices.Results, func(r resourcev1.DeviceRequestAllocationResult) bool {
		has := conditionsOf(claim, &r)
		return slices.ContainsFunc(r.BindingFailureConditions, func(c string) bool { return meta.IsStatusConditionTrue(has, c) })
	})
}

func conditionsOf(claim *resourcev1.ResourceClaim, r *resourcev1.DeviceRequestAllocationResult) []metav1.Condition {
	for i := range claim.Status.Devices {
		if s := &claim.Status.Devices[i]; s.Driver == r.Driver && s.Pool == r.Pool && s.Device == r.Device {
			return s.Conditions
		}
	}
	return nil
}

// takeDevice folds a change of a claim, class or device, and looks again at the pods
// that it concerns. Those that wait for devices are woken.
func (l *loop) takeDevice(c projections.Change) {
	if len(l.queue.claiming) > 0 && c.Void == nil {
		l.roomy = c.Event.Sequence
	}
	if !l.cluster.takeDevice(c) {
		return
	}
	switch c.Event.Key.Resource {
	case "resourceclaims":
		l.claimChanged(c.Event.Key)
	case "deviceclasses":
		for key, of := range l.queue.claiming {
			if key.Resource != "resourceclaims" {
				continue
			}
			for p := range of {
				l.claimsChanged(p)
			}
		}
	}
}

// comes reports that a pod waits quietly for a claim that isn't made yet.
func (l *loop) comes(p *pending, w *wanted) bool {
	now := l.options.Clock.Now()
	switch {
	case !w.coming:
		p.coming = false
		p.came = time.Time{}
		return false
	case p.came.IsZero():
		p.came = now
	}
	if p.coming = true; now.Before(p.came.Add(comesWithin)) {
		l.queue.wait(p, p.came.Add(comesWithin))
		return true
	}
	return false
}
