package resourcequota

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/storage/volume"
)

// claimUsage is what a volume claim counts for, in all and of its storage class.
func claimUsage(claim *corev1.PersistentVolumeClaim) corev1.ResourceList {
	amounts := corev1.ResourceList{"count/persistentvolumeclaims": units(1), corev1.ResourcePersistentVolumeClaims: units(1)}
	class := volume.GetPersistentVolumeClaimClass(claim)
	ofClass := func(name corev1.ResourceName) corev1.ResourceName {
		return corev1.ResourceName(class+storageClassInfix) + name
	}
	if class != "" {
		amounts[ofClass(corev1.ResourcePersistentVolumeClaims)] = units(1)
	}
	size, ok := claim.Spec.Resources.Requests[corev1.ResourceStorage]
	if !ok {
		return amounts
	}
	if allocated, ok := claim.Status.AllocatedResources[corev1.ResourceStorage]; ok && allocated.Cmp(size) > 0 {
		size = allocated // a growth that failed may have taken it
	}
	size = size.DeepCopy()
	size.RoundUp(0)
	amounts[corev1.ResourceRequestsStorage] = size
	if class != "" {
		amounts[ofClass(corev1.ResourceRequestsStorage)] = size
	}
	return amounts
}

// attributeClasses are the volume attributes classes that a claim has, had or is
// to have.
func attributeClasses(claim *corev1.PersistentVolumeClaim) []string {
	var all []string
	for _, class := range []*string{claim.Spec.VolumeAttributesClassName, claim.Status.CurrentVolumeAttributesClassName} {
		if class != nil && *class != "" {
			all = append(all, *class)
		}
	}
	if m := claim.Status.ModifyVolumeStatus; m != nil && m.TargetVolumeAttributesClassName != "" {
		all = append(all, m.TargetVolumeAttributesClassName)
	}
	return all
}
