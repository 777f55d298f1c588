package pod

import (
	"encoding/json"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// owned are the fields of a pod's status that its node's agent owns. All of them
// are in every report: null is "there is none", so that nothing old stays.
type owned struct {
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	Phase      v1.PodPhase          `json:"phase"`
	Conditions []condition          `json:"conditions"`
	Message    *string              `json:"message"`
	Reason     *string              `json:"reason"`
	HostIP     *string              `json:"hostIP"`
	HostIPs    []v1.HostIP          `json:"hostIPs"`
	PodIP      *string              `json:"podIP"`
	PodIPs     []v1.PodIP           `json:"podIPs"`
	StartTime  *metav1.Time         `json:"startTime"`
	Init       []v1.ContainerStatus `json:"initContainerStatuses"`
	Containers []v1.ContainerStatus `json:"containerStatuses"`
	QOSClass   v1.PodQOSClass       `json:"qosClass,omitempty"`
	// What never goes again once it is there.
	Ephemeral []v1.ContainerStatus     `json:"ephemeralContainerStatuses,omitempty"`
	Resources *v1.ResourceRequirements `json:"resources,omitempty"`
	Allocated v1.ResourceList          `json:"allocatedResources,omitempty"`
}

func statusPatch(s *v1.PodStatus) ([]byte, error) {
	return json.Marshal(map[string]owned{"status": {
		ObservedGeneration: s.ObservedGeneration,
		Phase:              s.Phase, Conditions: conditionsOf(s), Message: some(s.Message), Reason: some(s.Reason),
		HostIP: some(s.HostIP), HostIPs: s.HostIPs, PodIP: some(s.PodIP), PodIPs: s.PodIPs, StartTime: s.StartTime,
		Init: s.InitContainerStatuses, Containers: s.ContainerStatuses, QOSClass: s.QOSClass,
		Ephemeral: s.EphemeralContainerStatuses, Resources: s.Resources, Allocated: s.AllocatedResources,
	}})
}

func some(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// condition is one in a patch; one without a status is removed.
type condition v1.PodCondition

// MarshalJSON implements json.Marshaler.
func (c condition) MarshalJSON() ([]byte, error) {
	if c.Status == "" {
		return json.Marshal(map[string]string{"type": string(c.Type), "$patch": "delete"})
	}
	return json.Marshal(v1.PodCondition(c))
}

func conditionsOf(s *v1.PodStatus) []condition {
	out := make([]condition, len(s.Conditions))
	for i, c := range s.Conditions {
		out[i] = condition(c)
	}
	return out
}
