package replicaset

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// ranked is a pod with what decides when it goes.
type ranked struct {
	object   *events.Object
	pod      *corev1.Pod
	cost     int64 // annotation controller.kubernetes.io/pod-deletion-cost
	together int   // active pods of the same workload on its node
	ready    time.Time
	restarts int32
	sidecars int32 // restarts of those
}

// rank orders pods by who is deleted first, by Kubernetes' rules: unscheduled,
// pending, not ready; cheaper to delete; more of its like on the node; ready for
// less long (in orders of magnitude); more restarts; younger; by name.
func rank(s *projections.Snapshot, rs *appsv1.ReplicaSet, active []*events.Object, now time.Time) []*events.Object {
	together := perNode(s, rs, active)
	pods := make([]ranked, len(active))
	for i, o := range active {
		pod := o.Value.(*corev1.Pod)
		r := ranked{object: o, pod: pod, together: together[pod.Spec.NodeName], ready: controllers.ReadySince(pod)}
		r.cost, _ = strconv.ParseInt(pod.Annotations[corev1.PodDeletionCost], 10, 32)
		r.restarts, r.sidecars = restarts(pod)
		pods[i] = r
	}
	slices.SortFunc(pods, func(a, b ranked) int {
		return cmp.Or(
			first(a.pod.Spec.NodeName == "", b.pod.Spec.NodeName == ""),
			cmp.Compare(phaseOrder(a.pod), phaseOrder(b.pod)),
			first(a.ready.IsZero(), b.ready.IsZero()),
			cmp.Compare(a.cost, b.cost),
			cmp.Compare(b.together, a.together),
			younger(now, a, b, a.ready, b.ready),
			cmp.Compare(b.restarts, a.restarts),
			cmp.Compare(b.sidecars, a.sidecars),
			younger(now, a, b, a.pod.CreationTimestamp.Time, b.pod.CreationTimestamp.Time),
			cmp.Compare(a.pod.UID, b.pod.UID),
		)
	})
	out := make([]*events.Object, len(pods))
	for i := range pods {
		out[i] = pods[i].object
	}
	return out
}

// first orders what holds before what doesn't.
func first(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

func phaseOrder(pod *corev1.Pod) int {
	switch pod.Status.Phase {
	case corev1.PodPending:
		return 0
	case corev1.PodUnknown:
		return 1
	}
	return 2
}

// younger orders by times since when something holds for the two: the later first.
// Different times of one magnitude are ordered by uid, which is as good as drawing
// lots: not the newest of them always go.
func younger(now time.Time, a, b ranked, since, than time.Time) int {
	if since.Equal(than) {
		return 0
	}
	return cmp.Or(cmp.Compare(magnitude(now, since), magnitude(now, than)), cmp.Compare(a.pod.UID, b.pod.UID))
}

// magnitude is the logarithm of an age.
func magnitude(now, since time.Time) int {
	age := now.Sub(since)
	if age <= 0 {
		return -1
	}
	return int(math.Log2(float64(age)))
}

// restarts are the most restarts of a container and of a sidecar.
func restarts(pod *corev1.Pod) (containers, sidecars int32) {
	for i := range pod.Status.ContainerStatuses {
		containers = max(containers, pod.Status.ContainerStatuses[i].RestartCount)
	}
	for i := range pod.Spec.InitContainers {
		c := &pod.Spec.InitContainers[i]
		if c.RestartPolicy == nil || *c.RestartPolicy != corev1.ContainerRestartPolicyAlways {
			continue
		}
		for k := range pod.Status.InitContainerStatuses {
			if s := &pod.Status.InitContainerStatuses[k]; s.Name == c.Name {
				sidecars = max(sidecars, s.RestartCount)
			}
		}
	}
	return containers, sidecars
}

// perNode counts the active pods per node of the replica set and of those with
// the same controller: a rollout's scale-down evens out the whole workload.
func perNode(s *projections.Snapshot, rs *appsv1.ReplicaSet, active []*events.Object) map[string]int {
	n := map[string]int{}
	add := func(o *events.Object) {
		if pod := o.Value.(*corev1.Pod); pod.Spec.NodeName != "" && !controllers.Finished(pod) && pod.DeletionTimestamp == nil {
			n[pod.Spec.NodeName]++
		}
	}
	for _, o := range active {
		add(o)
	}
	owner := controllers.ControllerRef(rs)
	if owner == nil {
		return n
	}
	for sibling := range s.OwnedBy("apps", "replicasets", string(owner.UID)) {
		if sibling.Meta().GetUID() == rs.UID {
			continue
		}
		for o := range s.OwnedBy("", "pods", string(sibling.Meta().GetUID())) {
			add(o)
		}
	}
	return n
}
