package devicetaint

import (
	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

func value[T any](o *events.Object) (v T, ok bool) {
	if !o.Exists() {
		return v, false
	}
	v, ok = o.Value.(T)
	return v, ok
}

func podChanged(_ *projections.Snapshot, c projections.Change, add func(events.Key)) {
	pod, ok := value[*corev1.Pod](c.New)
	if !ok || len(pod.Spec.ResourceClaims) == 0 || pod.Spec.NodeName == "" {
		return
	}
	if old, had := value[*corev1.Pod](c.Old); had && c.Event != nil && c.Event.Prefix == events.PrefixFact && old.UID == pod.UID {
		return
	}
	add(c.New.Key)
}

// claimChanged maps a claim to the pods it is reserved for.
func claimChanged(_ *projections.Snapshot, c projections.Change, add func(events.Key)) {
	for _, o := range []*events.Object{c.Old, c.New} {
		if claim, ok := value[*resourcev1.ResourceClaim](o); ok && claim.Status.Allocation != nil {
			addPods(claim, add)
		}
	}
}

func addPods(claim *resourcev1.ResourceClaim, add func(events.Key)) {
	for _, r := range claim.Status.ReservedFor {
		if r.APIGroup == "" && r.Resource == "pods" {
			add(controllers.Pod.Key(claim.Namespace, r.Name))
		}
	}
}

// sliceChanged maps a slice whose devices' taints changed to the pods of all
// claims of its driver's pool.
func sliceChanged(s *projections.Snapshot, c projections.Change, add func(events.Key)) {
	if c.Event == nil {
		return // pods come by as well
	}
	old, _ := value[*resourcev1.ResourceSlice](c.Old)
	slice, _ := value[*resourcev1.ResourceSlice](c.New)
	if before, after := sliceTaints(old), sliceTaints(slice); len(before)+len(after) == 0 || old != nil && slice != nil &&
		old.Spec.Pool.Generation == slice.Spec.Pool.Generation && equality.Semantic.DeepEqual(before, after) {
		return
	}
	for claim := range projections.List[*resourcev1.ResourceClaim](s, "resource.k8s.io", "resourceclaims", "") {
		for _, result := range results(claim) {
			if of(old, &result) || of(slice, &result) {
				addPods(claim, add)
				break
			}
		}
	}
}

// sliceTaints are the taints that evict, by device.
func sliceTaints(slice *resourcev1.ResourceSlice) map[string][]resourcev1.DeviceTaint {
	if slice == nil {
		return nil
	}
	var out map[string][]resourcev1.DeviceTaint
	for i := range slice.Spec.Devices {
		for _, t := range slice.Spec.Devices[i].Taints {
			if t.Effect != resourcev1.DeviceTaintEffectNoExecute {
				continue
			}
			if out == nil {
				out = map[string][]resourcev1.DeviceTaint{}
			}
			out[slice.Spec.Devices[i].Name] = append(out[slice.Spec.Devices[i].Name], t)
		}
	}
	return out
}

// of reports that a device is of a slice's pool.
func of(slice *resourcev1.ResourceSlice, result *resourcev1.DeviceRequestAllocationResult) bool {
	return slice != nil && slice.Spec.Driver == result.Driver && slice.Spec.Pool.Name == result.Pool
}

// ruleChanged maps a rule that evicts, or did, to the pods of the claims with
// devices that it concerns, or did.
func ruleChanged(s *projections.Snapshot, c projections.Change, add func(events.Key)) {
	if c.Event == nil {
		return
	}
	old, _ := value[*resourcev1.DeviceTaintRule](c.Old)
	rule, _ := value[*resourcev1.DeviceTaintRule](c.New)
	if !evicts(old) && !evicts(rule) || old != nil && rule != nil && equality.Semantic.DeepEqual(old.Spec, rule.Spec) {
		return
	}
	for claim := range projections.List[*resourcev1.ResourceClaim](s, "resource.k8s.io", "resourceclaims", "") {
		for _, result := range results(claim) {
			if concerns(old, &result) || concerns(rule, &result) {
				addPods(claim, add)
				break
			}
		}
	}
}

func evicts(rule *resourcev1.DeviceTaintRule) bool {
	return rule != nil && rule.Spec.Taint.Effect == resourcev1.DeviceTaintEffectNoExecute
}

// concerns reports that a rule evicts those with a device.
func concerns(rule *resourcev1.DeviceTaintRule, d *resourcev1.DeviceRequestAllocationResult) bool {
	if !evicts(rule) || rule.Spec.DeviceSelector == nil {
		return false
	}
	is := func(want *string, have string) bool { return want == nil || *want == have }
	by := rule.Spec.DeviceSelector
	return is(by.Driver, d.Driver) && is(by.Pool, d.Pool) && is(by.Device, d.Device)
}

// results are the devices that a claim has.
func results(claim *resourcev1.ResourceClaim) []resourcev1.DeviceRequestAllocationResult {
	if claim.Status.Allocation == nil {
		return nil
	}
	return claim.Status.Allocation.Devices.Results
}
