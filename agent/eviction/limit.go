package eviction

import (
	"fmt"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	helpers "k8s.io/component-helpers/resource"
)

// Limited reports whether a pod's use of the node's disk is limited, so that it
// has to be measured.
func Limited(pod *v1.Pod) bool {
	for _, v := range pod.Spec.Volumes {
		if v.EmptyDir != nil && v.EmptyDir.Medium != v1.StorageMediumMemory && v.EmptyDir.SizeLimit != nil && v.EmptyDir.SizeLimit.Sign() > 0 {
			return true
		}
	}
	for _, list := range [][]v1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
		for _, c := range list {
			if limit, ok := c.Resources.Limits[v1.ResourceEphemeralStorage]; ok && !limit.IsZero() {
				return true
			}
		}
	}
	return pod.Spec.Resources != nil && !pod.Spec.Resources.Limits.StorageEphemeral().IsZero()
}

// Exceeded says which of its limits of the node's disk a pod exceeds; "": none.
func Exceeded(pod *v1.Pod, use Usage, l Layout) string {
	for _, v := range pod.Spec.Volumes {
		if v.EmptyDir == nil || v.EmptyDir.Medium == v1.StorageMediumMemory || v.EmptyDir.SizeLimit == nil || v.EmptyDir.SizeLimit.Sign() <= 0 {
			continue
		}
		if use.Volumes[v.Name].Bytes > v.EmptyDir.SizeLimit.Value() {
			return fmt.Sprintf("Usage of EmptyDir volume %q exceeds the limit %q. ", v.Name, v.EmptyDir.SizeLimit.String())
		}
	}
	if limit, ok := helpers.PodLimits(pod, helpers.PodResourcesOptions{})[v1.ResourceEphemeralStorage]; ok {
		all := use.disk(NodeFsAvailable, Layout{}, local(pod))
		if resource.NewQuantity(all.Bytes, resource.BinarySI).Cmp(limit) > 0 {
			return fmt.Sprintf("Pod ephemeral local storage usage exceeds the total limit of containers %s. ", limit.String())
		}
	}
	for _, c := range append(sidecars(pod), pod.Spec.Containers...) {
		limit := c.Resources.Limits.StorageEphemeral()
		used := use.Containers[c.Name].Logs
		if !l.ImageFs {
			used = used.plus(use.Containers[c.Name].Rootfs)
		}
		if !limit.IsZero() && used.Bytes > limit.Value() {
			return fmt.Sprintf("Container %s exceeded its local ephemeral storage limit %q. ", c.Name, limit.String())
		}
	}
	return ""
}

func sidecars(pod *v1.Pod) (out []v1.Container) {
	for _, c := range pod.Spec.InitContainers {
		if c.RestartPolicy != nil && *c.RestartPolicy == v1.ContainerRestartPolicyAlways {
			out = append(out, c)
		}
	}
	return out
}
