package job

import (
	"fmt"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

// judge applies a Job's pod failure policy to a failed pod: the action of the
// first rule that matches, and for FailJob why the Job fails. Without a match it is
// Count.
func judge(policy *batchv1.PodFailurePolicy, pod *corev1.Pod) (batchv1.PodFailurePolicyAction, string) {
	if policy == nil {
		return batchv1.PodFailurePolicyActionCount, ""
	}
	for i := range policy.Rules {
		rule := &policy.Rules[i]
		why := ""
		switch {
		case rule.OnExitCodes != nil:
			c := exited(&pod.Status, rule.OnExitCodes)
			if c == nil {
				continue
			}
			why = fmt.Sprintf("Container %s for pod %s/%s failed with exit code %v matching %v rule at index %d",
				c.Name, pod.Namespace, pod.Name, c.State.Terminated.ExitCode, rule.Action, i)
		default:
			c := conditioned(&pod.Status, rule.OnPodConditions)
			if c == nil {
				continue
			}
			why = fmt.Sprintf("Pod %s/%s has condition %v matching %v rule at index %d", pod.Namespace, pod.Name, c.Type, rule.Action, i)
		}
		return rule.Action, why
	}
	return batchv1.PodFailurePolicyActionCount, ""
}

// exited finds a container that ended with a code that the rule is about.
func exited(status *corev1.PodStatus, rule *batchv1.PodFailurePolicyOnExitCodesRequirement) *corev1.ContainerStatus {
	for _, list := range [][]corev1.ContainerStatus{status.ContainerStatuses, status.InitContainerStatuses} {
		for i := range list {
			c := &list[i]
			end := c.State.Terminated
			if end == nil || end.ExitCode == 0 || rule.ContainerName != nil && *rule.ContainerName != c.Name {
				continue
			}
			listed := slices.Contains(rule.Values, end.ExitCode)
			if listed && rule.Operator == batchv1.PodFailurePolicyOnExitCodesOpIn || !listed && rule.Operator == batchv1.PodFailurePolicyOnExitCodesOpNotIn {
				return c
			}
		}
	}
	return nil
}

func conditioned(status *corev1.PodStatus, patterns []batchv1.PodFailurePolicyOnPodConditionsPattern) *corev1.PodCondition {
	for i := range status.Conditions {
		for _, p := range patterns {
			if c := &status.Conditions[i]; c.Type == p.Type && c.Status == p.Status {
				return c
			}
		}
	}
	return nil
}
