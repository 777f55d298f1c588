package pod

import (
	"strings"

	v1 "k8s.io/api/core/v1"
)

// status makes the pod's status of now.
func (w *Worker) status() *v1.PodStatus {
	v := view{
		pod: w.pod, previous: w.previous, hostIPs: w.host.HostIPs, sandbox: w.sandboxReady(), containers: w.containers,
		started: w.started, now: w.host.Clock.Now(), final: w.final, reason: w.reason, message: w.message, ended: w.ended, root: w.host.Dir,
	}
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
	return makeStatus(v)
}

// report hands the present status to the publisher, with the last thing that
// happened as its reason and all of it as the note.
func (w *Worker) report() { w.reportAs(true) }

// settleReport tells of a step that only matters if it lasts.
func (w *Worker) settleReport() { w.reportAs(false) }

func (w *Worker) reportAs(settled bool) {
	if w.frozen {
		return
	}
	s := w.status()
	if (s.Phase == v1.PodSucceeded || s.Phase == v1.PodFailed) && !w.ended {
		return // the sandbox is stopped first; the next step does that
	}
	reason, note := "", ""
	if n := len(w.reasons); n > 0 && settled {
		reason = w.reasons[n-1].reason
		var notes []string
		for _, r := range w.reasons {
			notes = append(notes, r.note)
		}
		note = strings.Join(notes, "; ")
		w.reasons = nil
	}
	w.mu.Lock()
	cause := w.position
	w.serving = w.makeServing(s)
	w.mu.Unlock()
	if err := w.publish.set(s, reason, note, cause, settled && urgent(w.previous, s)); err != nil {
		w.host.Log.Error("a pod's status can't be encoded", "pod", w.pod.Name, "err", err)
		return
	}
	w.previous = s
}

// urgent reports whether somebody waits for what changed from a to b: anything
// but a step on the way to the first start.
func urgent(a, b *v1.PodStatus) bool {
	if a.Phase != b.Phase && (a.Phase != "" || b.Phase != v1.PodPending) {
		return true
	}
	for _, list := range [][]v1.ContainerStatus{b.InitContainerStatuses, b.ContainerStatuses} {
		for _, c := range list {
			if c.State.Waiting == nil || (c.State.Waiting.Reason != reasonCreating && c.State.Waiting.Reason != reasonInitializing) {
				return true
			}
		}
	}
	return false
}

func (w *Worker) makeServing(s *v1.PodStatus) serving {
	out := serving{pod: w.pod, status: s, ids: map[string]string{}, previous: map[string]string{}, attempts: map[string]uint32{}}
	if w.sandbox != nil {
		out.sandbox = w.sandbox.Id
	}
	for _, c := range w.containers {
		if c.current != nil {
			out.ids[c.spec.Name], out.attempts[c.spec.Name] = c.current.Id, c.current.Metadata.Attempt
		}
		if c.last != nil {
			out.previous[c.spec.Name] = c.last.Id
		}
	}
	return out
}
