package pod

import (
	"slices"

	v1 "k8s.io/api/core/v1"
)

// shouldRestart reports whether a container that ended with this code starts again: by
// the first of its own rules that matches, then its own policy, then its pod's.
func shouldRestart(c *v1.Container, pod *v1.PodSpec, exitCode int32) bool {
	if matchingRule(c, exitCode) != nil {
		return true // all actions that there are
	}
	switch policyOf(c, pod) {
	case v1.RestartPolicyNever:
		return false
	case v1.RestartPolicyOnFailure:
		return exitCode != 0
	}
	return true
}

// policyOf is the container's own restart policy, or its pod's.
func policyOf(c *v1.Container, pod *v1.PodSpec) v1.RestartPolicy {
	if c.RestartPolicy != nil {
		return v1.RestartPolicy(*c.RestartPolicy)
	}
	return pod.RestartPolicy
}

// matchingRule is the first rule of a container about an exit code; rules count
// only beside a policy of the container's own.
func matchingRule(c *v1.Container, exitCode int32) *v1.ContainerRestartRule {
	if c.RestartPolicy == nil {
		return nil
	}
	for i := range c.RestartPolicyRules {
		rule := &c.RestartPolicyRules[i]
		if rule.ExitCodes == nil || rule.Action != v1.ContainerRestartRuleActionRestart && rule.Action != v1.ContainerRestartRuleActionRestartAllContainers {
			continue
		}
		named := slices.Contains(rule.ExitCodes.Values, exitCode)
		switch rule.ExitCodes.Operator {
		case v1.ContainerRestartRuleOnExitCodesOpIn:
			if named {
				return rule
			}
		case v1.ContainerRestartRuleOnExitCodesOpNotIn:
			if !named {
				return rule
			}
		}
	}
	return nil
}

// restarts reports whether an exited container is to be started again.
func (c *container) restarts(pod *v1.PodSpec) bool {
	switch {
	case c.kind == ephemeral:
		return false
	case c.kind == sidecar || c.again:
		return true
	case c.kind == initial && c.succeeded():
		return false
	}
	return shouldRestart(c.spec, pod, c.current.ExitCode)
}

// restartsKilled reports whether a container starts again that the agent stops:
// nobody knows yet how it will end, so no rule counts.
func (c *container) restartsKilled(pod *v1.PodSpec) bool {
	return policyOf(c.spec, pod) != v1.RestartPolicyNever
}

// restartsLost reports whether a container of which the runtime knows nothing any
// more, so that nobody knows how it ended, is to be started again.
func (c *container) restartsLost(pod *v1.PodSpec) bool {
	return c.reset || c.kind == initial || c.kind == sidecar || c.kind == regular && c.restartsKilled(pod)
}

// restartsAll reports whether the container's end is to restart the whole pod.
func (c *container) restartsAll() bool {
	if c.kind == ephemeral || !c.exited() || c.again {
		return false
	}
	rule := matchingRule(c.spec, c.current.ExitCode)
	return rule != nil && rule.Action == v1.ContainerRestartRuleActionRestartAllContainers
}

// couldRestartAll reports whether some container has a rule that restarts the whole pod.
func couldRestartAll(spec *v1.PodSpec) bool {
	for _, list := range [][]v1.Container{spec.InitContainers, spec.Containers} {
		for i := range list {
			for _, rule := range list[i].RestartPolicyRules {
				if rule.Action == v1.ContainerRestartRuleActionRestartAllContainers {
					return true
				}
			}
		}
	}
	return false
}
