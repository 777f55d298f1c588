package eviction

import (
	"fmt"

	v1 "k8s.io/api/core/v1"
)

// Admit says why a node with these conditions doesn't take a pod; "" takes it.
// qos is the pod's class.
func Admit(conditions []v1.NodeConditionType, pod *v1.Pod, qos v1.PodQOSClass) string {
	if len(conditions) == 0 || Critical(pod) {
		return ""
	}
	if len(conditions) == 1 && conditions[0] == v1.NodeMemoryPressure && (qos != v1.PodQOSBestEffort || toleratesMemory(pod)) {
		return ""
	}
	return fmt.Sprintf("The node had condition: %v. ", conditions)
}

func toleratesMemory(pod *v1.Pod) bool {
	for _, t := range pod.Spec.Tolerations {
		if t.Effect != "" && t.Effect != v1.TaintEffectNoSchedule {
			continue
		}
		if t.Key == v1.TaintNodeMemoryPressure && (t.Operator == v1.TolerationOpExists || t.Value == "") ||
			t.Key == "" && t.Operator == v1.TolerationOpExists {
			return true
		}
	}
	return false
}
