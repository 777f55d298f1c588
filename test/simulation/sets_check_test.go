package simulation

import (
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/projections"
)

// podsOf are the pods that an object controls.
func podsOf(s *projections.Snapshot, uid string) (out []*corev1.Pod) {
	for p := range projections.List[*corev1.Pod](s, "", "pods", "") {
		if ref := controllers.ControllerRef(p); ref != nil && string(ref.UID) == uid {
			out = append(out, p)
		}
	}
	return out
}

// setsUnsettled says what of stateful sets, daemon sets and jobs isn't as it must
// be in the end, "" if everything is.
func (w *world) setsUnsettled(s *projections.Snapshot) string {
	for set := range projections.List[*appsv1.StatefulSet](s, "apps", "statefulsets", "") {
		want, st := *set.Spec.Replicas, set.Status
		if st.ObservedGeneration != set.Generation || st.Replicas != want || st.ReadyReplicas != want || st.UpdatedReplicas != want {
			return fmt.Sprintf("stateful set %s of %d replicas, generation %d, has status %+v", set.Name, want, set.Generation, st)
		}
		var names []string
		for _, p := range podsOf(s, string(set.UID)) {
			names = append(names, p.Name)
		}
		slices.Sort(names)
		for i := range want {
			if int(i) >= len(names) || names[i] != fmt.Sprintf("%s-%d", set.Name, i) {
				return fmt.Sprintf("stateful set %s of %d replicas has pods %v", set.Name, want, names)
			}
		}
		if len(names) != int(want) {
			return fmt.Sprintf("stateful set %s of %d replicas has pods %v", set.Name, want, names)
		}
	}
	for set := range projections.List[*appsv1.DaemonSet](s, "apps", "daemonsets", "") {
		st := set.Status
		if st.ObservedGeneration != set.Generation || st.DesiredNumberScheduled != nodeCount || st.NumberReady != nodeCount || st.UpdatedNumberScheduled != nodeCount {
			return fmt.Sprintf("daemon set %s, generation %d, has status %+v", set.Name, set.Generation, st)
		}
		on := map[string]bool{}
		for _, p := range podsOf(s, string(set.UID)) {
			if p.Status.Phase == corev1.PodRunning && on[p.Spec.NodeName] {
				return fmt.Sprintf("daemon set %s has two pods on %s", set.Name, p.Spec.NodeName)
			}
			on[p.Spec.NodeName] = true
		}
	}
	for job := range projections.List[*batchv1.Job](s, "batch", "jobs", "") {
		if why := w.checker.jobUnsettled(s, job); why != "" {
			return why
		}
	}
	return ""
}

// jobUnsettled says what of a job isn't as it must be in the end: it is complete
// or has failed, nothing of it runs, and no pod was counted twice. One that was
// deleted counts as failed, whatever its containers said afterwards.
func (c *checker) jobUnsettled(s *projections.Snapshot, job *batchv1.Job) string {
	var ends []string
	for _, condition := range job.Status.Conditions {
		if condition.Status == corev1.ConditionTrue && (condition.Type == batchv1.JobComplete || condition.Type == batchv1.JobFailed) {
			ends = append(ends, string(condition.Type))
		}
	}
	if len(ends) != 1 || job.Status.Active != 0 {
		return fmt.Sprintf("job %s has status %+v", job.Name, job.Status)
	}
	if u := job.Status.UncountedTerminatedPods; u != nil && len(u.Succeeded)+len(u.Failed) > 0 {
		return fmt.Sprintf("job %s has uncounted pods %+v", job.Name, u)
	}
	for _, p := range podsOf(s, string(job.UID)) {
		if slices.Contains(p.Finalizers, batchv1.JobTrackingFinalizer) {
			return fmt.Sprintf("pod %s of job %s is still to be counted", p.Name, job.Name)
		}
	}
	var pods, succeeded int32
	for _, p := range c.pods {
		if ref := controllers.ControllerRef(p); ref != nil && ref.UID == job.UID {
			pods++
			if p.Status.Phase == corev1.PodSucceeded {
				succeeded++
			}
		}
	}
	st := job.Status
	if st.Succeeded > succeeded || st.Succeeded+st.Failed > pods || ends[0] == string(batchv1.JobComplete) && st.Succeeded != *job.Spec.Completions {
		return fmt.Sprintf("job %s of %d completions had %d pods, of which %d succeeded, and has status %+v", job.Name, *job.Spec.Completions, pods, succeeded, st)
	}
	return ""
}

// sets checks what must hold of them after every event.
func (c *checker) sets(s *projections.Snapshot, pod *corev1.Pod) error {
	ref := controllers.ControllerRef(pod)
	if ref == nil || ref.Kind != controllers.Job.Kind {
		return nil
	}
	job, ok := projections.Get[*batchv1.Job](s, controllers.Job.Key(pod.Namespace, ref.Name))
	if !ok || job.UID != ref.UID {
		return nil
	}
	var active int32
	for _, p := range podsOf(s, string(job.UID)) {
		if p.DeletionTimestamp == nil && p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed {
			active++
		}
	}
	if active > *job.Spec.Parallelism {
		return fmt.Errorf("job %s has %d active pods at once, and may have %d", job.Name, active, *job.Spec.Parallelism)
	}
	return nil
}

// ordinals checks that what runs has a name of its own: of a stateful set's pods
// never two of one ordinal.
func (c *checker) ordinals(where map[string]string) error {
	names := map[string]string{}
	for uid := range where {
		pod := c.pods[uid]
		if ref := controllers.ControllerRef(pod); ref == nil || ref.Kind != controllers.StatefulSet.Kind {
			continue
		}
		if other, ok := names[pod.Name]; ok {
			return fmt.Errorf("pod %s runs as %s on %s and as %s on %s", pod.Name, uid, where[uid], other, where[other])
		}
		names[pod.Name] = uid
	}
	return nil
}
