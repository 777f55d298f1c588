package eviction

import (
	"fmt"
	"strings"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Reason is an evicted pod's.
const Reason = "Evicted"

// Message says as the kubelet does why a pod was evicted for a starved resource.
func Message(starved []Threshold, o Observations, pod *v1.Pod, use Usage) string {
	name := starved[0].Signal.Resource()
	var b strings.Builder
	fmt.Fprintf(&b, "The node was low on resource: %s. ", name)
	for _, t := range starved {
		if have, ok := o[t.Signal]; ok && t.Signal.Resource() == name {
			least := t.Value.Of(have.Capacity)
			fmt.Fprintf(&b, "Threshold quantity: %s, available: %s. ", least.String(), have.Available.String())
			break
		}
	}
	for _, list := range [][]v1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
		for _, c := range list {
			measured, ok := use.Containers[c.Name]
			if !ok {
				continue
			}
			var used int64
			switch name {
			case v1.ResourceMemory:
				used = measured.Memory
			case v1.ResourceEphemeralStorage:
				used = measured.Rootfs.Bytes + measured.Logs.Bytes
			}
			quantity, request := resource.NewQuantity(used, resource.BinarySI), c.Resources.Requests[name]
			if used > 0 && quantity.Cmp(request) > 0 {
				fmt.Fprintf(&b, "Container %s was using %s, request is %s, has larger consumption of %s. ", c.Name, quantity.String(), request.String(), name)
			}
		}
	}
	return b.String()
}
