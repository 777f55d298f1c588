package scheduler

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"k8s.io/dynamic-resource-allocation/resourceclaim"
	"k8s.io/dynamic-resource-allocation/structured"

	"github.com/reckon-project/reckon/events"
)

// wanted is what a pod's resource claims ask of its node. A class keeps what the allocator
// answered about each node until something changes there: pods whose claims ask for
// the same share it.
type wanted struct {
	view    *devices
	problem string // why no node will do
	coming  bool   // the problem is a claim that isn't made yet
	all     []*resourcev1.ResourceClaim
	open    []*resourcev1.ResourceClaim // have no devices yet
	where   []allocatedFor              // of the others
	choices int64                       // requests that list alternatives

	looked uint64 // see devices.everywhere
	found  []allocation
}

// allocatedFor is the nodes that a claim's devices can be used on.
type allocatedFor struct {
	claim *resourcev1.ResourceClaim
	nodes *nodeaffinity.LazyErrorNodeSelector // nil: all
	bad   bool                                // its devices can't be made ready
}

// allocation is what an allocator found for the open claims on a node.
type allocation struct {
	at         uint64 // of devices.clock; 0: not asked yet
	generation uint64 // of the node
	why        string // none was found
	results    []resourcev1.AllocationResult
}

// The words of Kubernetes' plugin.
const (
	notAllocatable = "cannot allocate all claims"
	notAvailable   = "resourceclaim not available on the node"
)

// deviceFeatures are those that Kubernetes 1.37 has on.
var deviceFeatures = structured.Features{
	AdminAccess: true, PrioritizedList: true, PartitionableDevices: true, DeviceTaints: true,
	DeviceBindingAndStatus: true, ConsumableCapacity: true, FractionalCapacityRange: true,
}

// resourceClaimsOf names a pod's resource claims as far as they have names, each once.
func resourceClaimsOf(pod *corev1.Pod) (out []events.Key) {
	for i := range pod.Spec.ResourceClaims {
		if name, _, err := resourceclaim.Name(pod, &pod.Spec.ResourceClaims[i]); err == nil && name != nil {
			key := events.Key{Group: resourcev1.GroupName, Resource: "resourceclaims", Namespace: pod.Namespace, Name: *name}
			if !slices.Contains(out, key) {
				out = append(out, key)
			}
		}
	}
	return out
}

// wantedBy looks up a pod's resource claims; nil if it has none.
func (d *devices) wantedBy(pod *corev1.Pod) *wanted {
	if len(pod.Spec.ResourceClaims) == 0 {
		return nil
	}
	w := &wanted{view: d}
	for i := range pod.Spec.ResourceClaims {
		name, owned, err := resourceclaim.Name(pod, &pod.Spec.ResourceClaims[i])
		if err != nil {
			w.problem, w.coming = err.Error(), errors.Is(err, resourceclaim.ErrClaimNotFound)
			return w
		}
		if name == nil {
			continue // its template makes none
		}
		claim := d.claims[events.Key{Group: resourcev1.GroupName, Resource: "resourceclaims", Namespace: pod.Namespace, Name: *name}]
		switch {
		case claim == nil:
			w.problem, w.coming = fmt.Sprintf("resourceclaim %q not found", *name), true
		case claim.DeletionTimestamp != nil:
			w.problem = fmt.Sprintf("resourceclaim %q is being deleted", claim.Name)
		case owned:
			if err := resourceclaim.IsForPod(pod, claim, true); err != nil {
				w.problem = err.Error()
			}
		}
		if w.problem == "" && !slices.Contains(w.all, claim) {
			w.problem = w.add(pod, claim)
		}
		if w.problem != "" {
			return w
		}
	}
	if len(w.all) == 0 {
		return nil
	}
	return w
}

// add takes in a claim, and gives what is wrong with it.
func (w *wanted) add(pod *corev1.Pod, claim *resourcev1.ResourceClaim) string {
	w.all = append(w.all, claim)
	for i := range claim.Spec.Devices.Requests {
		if len(claim.Spec.Devices.Requests[i].FirstAvailable) > 0 {
			w.choices++
		}
	}
	if a := w.view.taken[claim.UID]; a != nil {
		if len(claim.Status.ReservedFor) >= resourcev1.ResourceClaimReservedForMaxSize && !resourceclaim.IsReservedForPod(pod, claim, true) {
			return "resourceclaim in use"
		}
		at := allocatedFor{claim: claim, bad: failedBinding(claim)}
		if a.NodeSelector != nil {
			at.nodes = nodeaffinity.NewLazyErrorNodeSelector(a.NodeSelector)
		}
		w.where = append(w.where, at)
		return ""
	}
	w.open = append(w.open, claim)
	for i := range claim.Spec.Devices.Requests {
		r := &claim.Spec.Devices.Requests[i]
		switch {
		case r.Exactly != nil:
			if _, err := w.view.classes.Get(r.Exactly.DeviceClassName); err != nil {
				return fmt.Sprintf("request %s: %v", r.Name, err)
			}
		case len(r.FirstAvailable) > 0:
			for _, sub := range r.FirstAvailable {
				if _, err := w.view.classes.Get(sub.DeviceClassName); err != nil {
					return fmt.Sprintf("request %s/%s: %v", r.Name, sub.Name, err)
				}
			}
		default:
			return fmt.Sprintf("resource claim %s/%s, request %s: unknown request type", claim.Namespace, claim.Name, r.Name)
		}
	}
	return ""
}

// appendKey writes what nodes are judged by. Nil writes nothing.
func (w *wanted) appendKey(b []byte) []byte {
	if w == nil {
		return b
	}
	str := func(s string) {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	str("devices")
	str(w.problem)
	if w.problem != "" {
		return b
	}
	for _, at := range w.where {
		if a := w.view.taken[at.claim.UID]; a.NodeSelector != nil {
			enc, err := a.NodeSelector.Marshal()
			if err != nil {
				enc = []byte(at.claim.UID)
			}
			str(string(enc))
		}
		str(fmt.Sprint(at.bad))
		if w.choices > 0 {
			str(string(at.claim.UID))
		}
	}
	for _, claim := range w.open {
		enc, err := claim.Spec.Marshal()
		if err != nil {
			enc = []byte(claim.UID)
		}
		str("open")
		str(string(enc))
	}
	return b
}

// refuses says why a node won't do, "" if it will.
func (w *wanted) refuses(n *node) string {
	if w.problem != "" {
		return w.problem
	}
	for i := range w.where {
		if !w.where[i].on(n.object) {
			return notAvailable
		}
	}
	if len(w.open) == 0 {
		return ""
	}
	return w.allocate(n).why
}

// unnamed leaves the names of claims out of what the allocator says: pods share the answer.
func (w *wanted) unnamed(why string) string {
	for _, claim := range w.open {
		for _, end := range []string{",", ":"} {
			why = strings.ReplaceAll(why, "claim "+claim.Namespace+"/"+claim.Name+end, "claim"+end)
		}
	}
	return why
}

func (a *allocatedFor) on(n *corev1.Node) bool {
	if a.bad {
		return false
	}
	if a.nodes == nil {
		return true
	}
	ok, err := a.nodes.Match(n)
	return ok && err == nil
}

// allocate finds devices for the open claims on a node.
func (w *wanted) allocate(n *node) *allocation {
	for int(n.index) >= len(w.found) {
		w.found = append(w.found, make([]allocation, int(n.index)+1-len(w.found))...)
	}
	a, d := &w.found[n.index], w.view
	if a.at > 0 && a.at >= max(d.everywhere, n.devices) && a.generation == n.generation {
		return a
	}
	*a = allocation{at: max(d.clock, 1), generation: n.generation, why: notAllocatable}
	slices := d.pools.of(n.name)
	if len(slices) == 0 {
		return a
	}
	ctx := context.Background() // it computes only
	allocator, err := structured.NewAllocator(ctx, deviceFeatures, d.state, d.classes, slices, d.cel)
	if err == nil {
		a.results, err = allocator.Allocate(ctx, n.object, w.open)
	}
	switch {
	case err != nil:
		a.why, a.results = w.unnamed(err.Error()), nil
	case len(a.results) == len(w.open):
		a.why = ""
	}
	return a
}
