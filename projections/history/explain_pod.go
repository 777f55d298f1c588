package history

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/events"
)

// restartsShown is how many restarts of a container an answer explains.
const restartsShown = 2

// explainPod explains a pod by its creation, its placement or why it has none,
// what its containers wait for, their restarts, why it isn't ready, and its end.
func explainPod(steps []*Step) ([]*Step, []string) {
	var facts []*Step
	pick := func(s *Step) {
		if !slices.Contains(facts, s) {
			facts = append(facts, s)
		}
	}
	var placed, refused, started, readied, troubled *Step
	var restarts []*Step
	for _, s := range steps {
		switch {
		case !s.before.Exists(), !s.after.Exists(), s.Type == events.Deleting, s.Type == events.Preempted:
			pick(s)
			continue
		case s.Type == events.Scheduled:
			placed = s
		case s.Type == events.Unschedulable:
			refused = s
		}
		if warns(s) {
			troubled = s
		}
		for _, f := range s.Fields {
			switch {
			case f.Path == "spec.nodeName" && placed == nil: // bound by another scheduler
				placed = s
			case f.Path == "status.phase" && (f.New == "Failed" || f.New == "Succeeded"):
				pick(s)
			case f.Path == "status.phase" && f.New == "Running":
				started = s
			case f.Path == "status.conditions[Ready]":
				readied = s
			case strings.HasSuffix(f.Path, "].restartCount") && f.Op == Changed:
				if !slices.Contains(restarts, s) {
					restarts = append(restarts, s)
				}
			}
		}
	}
	switch {
	case placed != nil:
		pick(placed)
	case refused != nil:
		pick(refused)
	}
	if more := len(restarts) - restartsShown; more > 0 {
		restarts = restarts[more:]
	}
	for _, s := range restarts {
		for _, before := range leadsTo(steps, s) {
			pick(before)
		}
		pick(s)
	}
	last := steps[len(steps)-1]
	pod := podOf(last)
	if last.after.Exists() && !podReady(pod) {
		for _, s := range []*Step{readied, troubled, waitsSince(steps)} {
			if s != nil {
				pick(s)
			}
		}
	} else if started != nil && last.after.Exists() && len(restarts) == 0 {
		if readied != nil {
			started = readied
		}
		pick(started)
	}
	return facts, podSentences(pod, refused, last.after.Exists())
}

// warns reports whether a step tells of trouble.
func warns(s *Step) bool {
	for _, r := range strings.Split(s.Reason, ",") {
		switch r {
		case "Unhealthy", "Killing", "BackOff", "Failed", "OOMKilling", "SystemOOM", "FailedMount", "FailedCreatePodSandBox", "FailedPostStartHook",
			"Evicted", "ErrImageNeverPull", "InspectFailed", "NetworkNotReady", "SandboxChanged", "Preempting", "NodeNotReady":
			return true
		}
	}
	return false
}

// leadsTo are the last steps before a restart, and after the one before it, that
// tell why the container ended, and how.
func leadsTo(steps []*Step, restart *Step) []*Step {
	var warned, terminated *Step
	for i := slices.Index(steps, restart) - 1; i >= 0; i-- {
		s := steps[i]
		if hasField(s, "].restartCount", "") {
			break
		}
		if warned == nil && warns(s) {
			warned = s
		}
		if terminated == nil && hasField(s, "].state", "terminated") {
			terminated = s
		}
	}
	return slices.DeleteFunc([]*Step{warned, terminated}, func(s *Step) bool { return s == nil })
}

// hasField reports whether a step changed a field to a value that begins so.
func hasField(s *Step, path, value string) bool {
	return slices.ContainsFunc(s.Fields, func(f Field) bool {
		n, _ := f.New.(string)
		return f.Op != Removed && !f.Noise && strings.HasSuffix(f.Path, path) && strings.HasPrefix(n, value)
	})
}

// waitsSince is the step since which a container waits as it does.
func waitsSince(steps []*Step) *Step {
	for i := len(steps) - 1; i >= 0; i-- {
		if hasField(steps[i], "].state", "waiting (") {
			return steps[i]
		}
	}
	return nil
}

func podReady(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// podSentences say how a pod is.
func podSentences(pod *corev1.Pod, refused *Step, exists bool) []string {
	is := func(present, past string) string {
		if exists {
			return present
		}
		return past
	}
	var out []string
	switch {
	case pod.Spec.NodeName == "" && len(pod.Spec.SchedulingGates) > 0:
		var gates []string
		for _, g := range pod.Spec.SchedulingGates {
			gates = append(gates, g.Name)
		}
		out = append(out, fmt.Sprintf("it %s pending: scheduling %s held by %s", is("is", "was"), is("is", "was"), strings.Join(gates, ", ")))
	case pod.Spec.NodeName == "" && refused != nil:
		out = append(out, fmt.Sprintf("it %s pending: no node fits: %s", is("is", "was"), refused.Note))
	case pod.Spec.NodeName == "":
		out = append(out, fmt.Sprintf("it %s pending: the scheduler said nothing about it%s", is("is", "was"), is(" yet", "")))
	default:
		text := "it "
		switch pod.Status.Phase {
		case corev1.PodRunning:
			text += is("is running and "+map[bool]string{true: "ready", false: "not ready"}[podReady(pod)], "ran")
		case corev1.PodSucceeded:
			text += is("has", "had") + " succeeded"
		case corev1.PodFailed:
			text += is("has", "had") + " failed"
		default:
			text += is("is", "was") + " pending"
		}
		text += " on node " + pod.Spec.NodeName
		if pod.Status.Reason != "" {
			text += " (" + strings.TrimSuffix(pod.Status.Reason+": "+pod.Status.Message, ": ") + ")"
		}
		out = append(out, text)
	}
	for _, list := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses} {
		for i := range list {
			if s := containerSentence(&list[i]); s != "" {
				out = append(out, s)
			}
		}
	}
	return out
}

// containerSentence says what a container waits for, and how often and why it
// was restarted; "" if there is nothing to say.
func containerSentence(c *corev1.ContainerStatus) string {
	var parts []string
	if w := c.State.Waiting; w != nil && w.Reason != "ContainerCreating" && w.Reason != "PodInitializing" {
		parts = append(parts, "waits ("+strings.TrimSuffix(w.Reason+": "+w.Message, ": ")+")")
	}
	if t := c.State.Terminated; t != nil && (t.ExitCode != 0 || t.Reason != "Completed") {
		parts = append(parts, "ended: "+ended(t))
	}
	if c.RestartCount > 0 {
		text := fmt.Sprintf("was restarted %d %s", c.RestartCount, plural(int(c.RestartCount), "time"))
		if t := c.LastTerminationState.Terminated; t != nil {
			text += ", the last time after " + ended(t)
		}
		parts = append(parts, text)
	}
	if len(parts) == 0 {
		return ""
	}
	return "container " + c.Name + " " + strings.Join(parts, "; ")
}

func ended(t *corev1.ContainerStateTerminated) string {
	text := fmt.Sprintf("exit code %d", t.ExitCode)
	if t.Reason != "" && t.Reason != "Error" {
		text = t.Reason + ", " + text
	}
	if t.Message != "" {
		text += " (" + strings.TrimSpace(t.Message) + ")"
	}
	return text
}
