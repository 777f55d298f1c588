package pod

import (
	"slices"

	v1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/events"
)

// longestNote is what Kubernetes allows an event's message.
const longestNote = 1024

// known gathers what the pod's status is made of.
func (w *Worker) known() view {
	return view{
		pod: w.pod, previous: w.previous, hostIPs: w.host.HostIPs, sandbox: w.sandboxReady(), containers: w.containers, resetting: w.resetting,
		started: w.started, now: w.host.Clock.Now(), final: w.final, reason: w.reason, message: w.message, ended: w.ended, root: w.host.Dir,
	}
}

// status makes the pod's status of now.
func (w *Worker) status() *v1.PodStatus {
	v := w.known()
	if w.sandboxReady() || w.ended && w.sandbox != nil {
		v.podIPs = w.sandboxIPs()
	}
	if v.started.IsZero() && w.previous.StartTime != nil {
		v.started = w.previous.StartTime.Time
	}
	if w.final == v1.PodSucceeded || w.final == v1.PodFailed {
		if !w.ended {
			v.final = "" // guarantee 3
		}
	}
	s := makeStatus(v)
	s.Conditions = append(s.Conditions, w.resizeConditions()...)
	return w.disrupted(s)
}

// report hands the present status to the publisher, with all that
// happened since the last one as its steps.
func (w *Worker) report() { w.reportAs(true) }

// settleReport tells of a step that only matters if it lasts.
func (w *Worker) settleReport() { w.reportAs(false) }

func (w *Worker) reportAs(settled bool) {
	if w.frozen {
		w.show(w.previous)
		return
	}
	s := w.status()
	w.show(s)
	if (s.Phase == v1.PodSucceeded || s.Phase == v1.PodFailed) && !w.ended {
		return // the sandbox is stopped first; the next step does that
	}
	var steps []events.Step
	if settled {
		steps, w.reasons = w.reasons, nil
	}
	w.mu.Lock()
	origin := w.origin
	w.mu.Unlock()
	if err := w.publish.set(s, steps, origin, settled && urgent(w.previous, s)); err != nil {
		w.host.Log.Error("a pod's status can't be encoded", "pod", w.pod.Name, "err", err)
		return
	}
	w.previous = s
}

// show lets others read the pod's present state.
func (w *Worker) show(s *v1.PodStatus) {
	if w.resized {
		s = s.DeepCopy()
		s.Conditions = slices.DeleteFunc(s.Conditions, func(c v1.PodCondition) bool { return c.Status == "" })
	}
	v := w.makeView(s)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.view = v
}

// urgent reports whether somebody waits for what changed from a to b: anything
// but a step on the way to the first start.
func urgent(a, b *v1.PodStatus) bool {
	if a.Phase != b.Phase && (a.Phase != "" || b.Phase != v1.PodPending) {
		return true
	}
	for _, list := range [][]v1.ContainerStatus{b.InitContainerStatuses, b.ContainerStatuses, b.EphemeralContainerStatuses} {
		for _, c := range list {
			if c.State.Waiting == nil || (c.State.Waiting.Reason != reasonCreating && c.State.Waiting.Reason != reasonInitializing) {
				return true
			}
		}
	}
	return false
}

func (w *Worker) makeView(s *v1.PodStatus) View {
	out := View{Pod: w.pod, Status: s, Containers: map[string]ContainerView{}}
	if w.sandbox != nil {
		out.Sandbox = w.sandbox.Id
	}
	for _, c := range w.containers {
		if c.current == nil {
			continue
		}
		v := ContainerView{ID: c.current.Id, Attempt: c.current.Metadata.Attempt, Running: c.running()}
		if c.last != nil {
			v.Previous, v.PreviousAttempt = c.last.Id, c.last.Metadata.Attempt
		}
		out.Containers[c.spec.Name] = v
	}
	return out
}
