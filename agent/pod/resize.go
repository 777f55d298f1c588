package pod

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A resize goes through two gates: the node gives what the spec asks for (allocated),
// and the runtime gives it to the containers that run (given).
//
//	spec ──room? no: PodResizePending──► allocated ──PodResizeInProgress──► given
//
// Until there is room, the pod goes on with what it has, whatever its spec says.

// retryResize is when one that the runtime refused is tried again.
const retryResize = 10 * time.Second

// allocation is what the node gave a pod.
type allocation struct {
	pod        *v1.ResourceRequirements
	containers map[string]v1.ResourceRequirements
}

func resizable(pod *v1.Pod, f func(c *v1.Container)) {
	for i := range pod.Spec.InitContainers {
		if c := &pod.Spec.InitContainers[i]; kindOf(c, true) == sidecar {
			f(c)
		}
	}
	for i := range pod.Spec.Containers {
		f(&pod.Spec.Containers[i])
	}
}

func allocationOf(pod *v1.Pod) *allocation {
	out := &allocation{pod: pod.Spec.Resources, containers: map[string]v1.ResourceRequirements{}}
	resizable(pod, func(c *v1.Container) { out.containers[c.Name] = c.Resources })
	return out
}

// allocationKept is what an earlier life of the agent gave, as it was reported.
func allocationKept(pod *v1.Pod) *allocation {
	out := allocationOf(pod)
	for _, list := range [][]v1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses} {
		for _, s := range list {
			if have, ok := out.containers[s.Name]; ok && s.ContainerID != "" && s.Resources != nil {
				have.Requests, have.Limits = s.Resources.Requests, s.Resources.Limits
				out.containers[s.Name] = have
			}
		}
	}
	if pod.Spec.Resources != nil && pod.Status.Resources != nil {
		out.pod = pod.Status.Resources
	}
	return out
}

func (a *allocation) of(pod *v1.Pod) bool {
	same := equality.Semantic.DeepEqual(a.pod, pod.Spec.Resources)
	resizable(pod, func(c *v1.Container) { same = same && sameResources(a.containers[c.Name], c.Resources) })
	return same
}

func sameResources(a, b v1.ResourceRequirements) bool {
	return equality.Semantic.DeepEqual(a.Requests, b.Requests) && equality.Semantic.DeepEqual(a.Limits, b.Limits)
}

// apply gives the pod with what it was given in place of what it asks for.
func (a *allocation) apply(pod *v1.Pod) *v1.Pod {
	if a.of(pod) {
		return pod
	}
	out := *pod
	out.Spec.Resources = a.pod
	out.Spec.InitContainers, out.Spec.Containers = slices.Clone(pod.Spec.InitContainers), slices.Clone(pod.Spec.Containers)
	resizable(&out, func(c *v1.Container) {
		have := a.containers[c.Name]
		c.Resources.Requests, c.Resources.Limits = have.Requests, have.Limits
	})
	return &out
}

// grantResize takes what the pod's spec asks for now, if there is room.
func (w *Worker) grantResize() {
	if w.allocated.of(w.wanted) {
		w.pending = nil
		return
	}
	if isStatic(w.wanted) {
		w.waitResize(v1.PodReasonInfeasible, "In-place resize of static-pods is not supported")
		return
	}
	if lack, ok := w.host.Room.resize(w.wanted, w.Wake); !ok {
		w.waitResize(v1.PodReasonDeferred, lack.message)
		return
	}
	w.allocated = allocationOf(w.wanted)
	w.adoptSpec(w.wanted)
	w.pending, w.resized = nil, true
	w.progress = w.resizeCondition(v1.PodResizeInProgress, "", "", nil)
	w.note("ResizeStarted", "Pod resize started: "+resizeSummary(w.wanted, ""))
}

func (w *Worker) waitResize(reason, message string) {
	old := w.pending
	w.resized = true
	w.pending = w.resizeCondition(v1.PodResizePending, reason, message, old)
	if old == nil || old.Reason != reason || old.ObservedGeneration != w.pending.ObservedGeneration {
		w.note("Resize"+reason, "Pod resize "+reason+": "+resizeSummary(w.wanted, message))
	}
}

func (w *Worker) resizeCondition(t v1.PodConditionType, reason, message string, old *v1.PodCondition) *v1.PodCondition {
	c := &v1.PodCondition{Type: t, Status: v1.ConditionTrue, Reason: reason, Message: message, ObservedGeneration: w.wanted.Generation,
		LastTransitionTime: metav1.NewTime(w.host.Clock.Now().Truncate(time.Second))}
	if old != nil {
		c.LastTransitionTime = old.LastTransitionTime
	}
	return c
}

// actuateResize gives the containers that run what they were granted. One whose policy
// wants that is doomed to restart instead.
func (w *Worker) actuateResize(ctx context.Context) time.Duration {
	var todo []*container
	busy := false
	for _, c := range w.containers {
		if c.kind == initial || c.kind == ephemeral || !c.running() {
			continue
		}
		w.adoptGiven(c)
		if sameResources(*c.given, c.spec.Resources) {
			continue
		}
		if resizeRestarts(c) {
			busy = true
			if c.doom == nil {
				c.doom = &doom{message: fmt.Sprintf("Container %s resize requires restart", c.spec.Name), again: true}
			}
			continue
		}
		todo = append(todo, c)
	}
	limits := limitsOf(w.pod)
	if len(todo) > 0 || w.limits != nil && *w.limits != limits {
		if err := w.carryOutResize(ctx, todo, limits); err != nil {
			if ctx.Err() != nil {
				return 0
			}
			w.failResize(err)
			return retryResize
		}
	}
	if w.progress != nil && !busy {
		w.progress = nil
		w.note("ResizeCompleted", "Pod resize completed: "+resizeSummary(w.pod, ""))
	}
	return 0
}

// carryOutResize widens the pod's cgroup, changes the containers, and then narrows it.
func (w *Worker) carryOutResize(ctx context.Context, todo []*container, limits podLimits) error {
	if w.limits != nil {
		if err := w.setLimits(w.limits.widened(limits)); err != nil {
			return err
		}
	}
	memory := w.host.Allocatable[v1.ResourceMemory]
	for _, c := range todo {
		if err := w.host.Runtime.UpdateResources(ctx, c.current.Id, linuxResources(w.pod, c.spec, memory.Value())); err != nil {
			return err
		}
		c.given = &v1.ResourceRequirements{Requests: c.spec.Resources.Requests, Limits: c.spec.Resources.Limits}
	}
	return w.setLimits(limits)
}

func (w *Worker) failResize(err error) {
	old := w.progress
	w.resized = true
	w.progress = w.resizeCondition(v1.PodResizeInProgress, v1.PodReasonError, message(err), old)
	if old == nil || old.Message != w.progress.Message {
		w.note("ResizeError", "Pod resize error: "+resizeSummary(w.pod, message(err)))
	}
}

// adoptGiven finds out what a container runs with that an earlier life of the agent started.
func (w *Worker) adoptGiven(c *container) {
	if c.given != nil {
		return
	}
	c.given = &v1.ResourceRequirements{Requests: c.spec.Resources.Requests, Limits: c.spec.Resources.Limits}
	for _, list := range [][]v1.ContainerStatus{w.wanted.Status.InitContainerStatuses, w.wanted.Status.ContainerStatuses} {
		for _, s := range list {
			if s.Name == c.spec.Name && s.ContainerID == idPrefix+c.current.Id && s.Resources != nil {
				c.given = s.Resources
			}
		}
	}
}

// resizeRestarts reports whether one of the resources that change can't do so in a running container.
func resizeRestarts(c *container) bool {
	for _, policy := range c.spec.ResizePolicy {
		if policy.RestartPolicy != v1.RestartContainer {
			continue
		}
		for _, lists := range [][2]v1.ResourceList{{c.given.Requests, c.spec.Resources.Requests}, {c.given.Limits, c.spec.Resources.Limits}} {
			a, b := lists[0][policy.ResourceName], lists[1][policy.ResourceName]
			if a.Cmp(b) != 0 {
				return true
			}
		}
	}
	return false
}

// resizeConditions are those of the pod's status; one that is over has no status, and is removed.
func (w *Worker) resizeConditions() (out []v1.PodCondition) {
	if !w.resized {
		return nil
	}
	for t, c := range map[v1.PodConditionType]*v1.PodCondition{v1.PodResizePending: w.pending, v1.PodResizeInProgress: w.progress} {
		if c == nil || w.ended {
			c = &v1.PodCondition{Type: t}
		}
		out = append(out, *c)
	}
	slices.SortFunc(out, func(a, b v1.PodCondition) int { return len(a.Type) - len(b.Type) })
	return out
}

// resizeSummary is the pod's resources as the kubelet's events show them.
func resizeSummary(pod *v1.Pod, problem string) string {
	type given struct {
		Name      string                  `json:"name"`
		Resources v1.ResourceRequirements `json:"resources,omitempty"`
	}
	out := struct {
		Init       []given `json:"initContainers,omitempty"`
		Containers []given `json:"containers,omitempty"`
		Generation int64   `json:"generation"`
		Error      string  `json:"error,omitempty"`
	}{Generation: pod.Generation, Error: problem}
	for _, c := range pod.Spec.InitContainers {
		out.Init = append(out.Init, given{c.Name, c.Resources})
	}
	for _, c := range pod.Spec.Containers {
		out.Containers = append(out.Containers, given{c.Name, c.Resources})
	}
	text, err := json.Marshal(out)
	if err != nil {
		return ""
	}
	return string(text)
}

// statusResources are what a container's status says of its resources.
func statusResources(c *container) (given *v1.ResourceRequirements, allocated v1.ResourceList) {
	r := c.spec.Resources
	if len(r.Requests) == 0 && len(r.Limits) == 0 || c.kind == ephemeral {
		return nil, nil
	}
	given = &v1.ResourceRequirements{Requests: maps.Clone(r.Requests), Limits: maps.Clone(r.Limits)}
	if c.running() && c.given != nil {
		given = c.given
	}
	return given, r.Requests
}
