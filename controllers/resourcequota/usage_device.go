package resourcequota

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/projections"
)

// deviceUsage adds the devices that a claim may take, by class and by the extended
// resource that stands for the class. Of alternatives the largest counts.
func (c *counter) deviceUsage(s *projections.Snapshot, claim *resourcev1.ResourceClaim, amounts corev1.ResourceList) {
	perClass := map[string]int64{}
	for i := range claim.Spec.Devices.Requests {
		request := &claim.Spec.Devices.Requests[i]
		switch {
		case len(request.FirstAvailable) > 0:
			most := map[string]int64{}
			for j := range request.FirstAvailable {
				sub := &request.FirstAvailable[j]
				most[sub.DeviceClassName] = max(most[sub.DeviceClassName], devicesOf(sub.AllocationMode, sub.Count))
			}
			for class, n := range most {
				perClass[class] += n
			}
		case request.Exactly != nil:
			perClass[request.Exactly.DeviceClassName] += devicesOf(request.Exactly.AllocationMode, request.Exactly.Count)
		}
	}
	counted := c.countedWithPod(s, claim)
	for class, n := range perClass {
		amounts[corev1.ResourceName(class+deviceClassSuffix)] = units(n)
		names := []corev1.ResourceName{corev1.ResourceName(requestsDeviceName + class)}
		if d, ok := projections.Get[*resourcev1.DeviceClass](s, controllers.Kind{Group: devices.group, Resource: "deviceclasses"}.Key("", class)); ok &&
			d.Spec.ExtendedResourceName != nil && *d.Spec.ExtendedResourceName != "" {
			names = append(names, corev1.ResourceName(requestsPrefix+*d.Spec.ExtendedResourceName))
		}
		for _, name := range names {
			left := units(n)
			left.Sub(counted[name])
			if left.Sign() > 0 {
				amounts[name] = left
			}
		}
	}
}

func devicesOf(mode resourcev1.DeviceAllocationMode, count int64) int64 {
	switch mode {
	case resourcev1.DeviceAllocationModeExactCount:
		return count
	case resourcev1.DeviceAllocationModeAll:
		return resourcev1.AllocationResultsMaxSize
	}
	return 0
}

// countedWithPod is what counts already with the pod for whose extended resources a
// claim was made.
func (c *counter) countedWithPod(s *projections.Snapshot, claim *resourcev1.ResourceClaim) corev1.ResourceList {
	ref := controllers.ControllerRef(claim)
	if claim.Annotations[resourcev1.ExtendedResourceClaimAnnotation] != "true" || ref == nil || ref.Kind != "Pod" || ref.APIVersion != "v1" {
		return nil
	}
	pod, ok := projections.Get[*corev1.Pod](s, controllers.Pod.Key(claim.Namespace, ref.Name))
	if !ok || pod.UID != ref.UID {
		return nil
	}
	if status := pod.Status.ExtendedResourceClaimStatus; status != nil && status.ResourceClaimName != claim.Name {
		return nil
	} else if status == nil && !first(s, claim, string(pod.UID)) {
		return nil
	}
	if controllers.Finished(pod) {
		return nil
	}
	amounts := corev1.ResourceList{}
	podCompute(pod, amounts)
	return amounts
}

// first reports the oldest of the claims that were made for a pod's extended resources.
func first(s *projections.Snapshot, claim *resourcev1.ResourceClaim, pod string) bool {
	for o := range s.OwnedBy(devices.group, devices.resource, pod) {
		other, ok := o.Value.(*resourcev1.ResourceClaim)
		if !ok || other.Annotations[resourcev1.ExtendedResourceClaimAnnotation] != "true" {
			continue
		}
		if older := other.CreationTimestamp.Time.Compare(claim.CreationTimestamp.Time); older < 0 || older == 0 && strings.Compare(other.Name, claim.Name) < 0 {
			return false
		}
	}
	return true
}
