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
}

// rank orders pods by who is deleted first, by Kubernetes' rules: unscheduled,
// pending, not ready; cheaper to delete; more of its like on the node; ready for
// less long (in orders of magnitude); more restarts; younger; by name.
func rank(s *projections.Snapshot, rs *appsv1.ReplicaSet, active []*events.Object, now time.Time) []*events.Object {
	together := perNode(s, rs, active)
	pods := make([]ranked, len(active))
	for i, o := range active {
		pod := o.Value.(*corev1.Pod)
		r := ranked{object: o, pod: pod, together: together[pod.Spec.NodeName], ready: readySince(pod)}
		r.cost, _ = strconv.ParseInt(pod.Annotations[corev1.PodDeletionCost], 10, 32)
		for _, c := range pod.Status.ContainerStatuses {
			r.restarts = max(r.restarts, c.RestartCount)
		}
		pods[i] = r
	}
	slices.SortFunc(pods, func(a, b ranked) int {
		return cmp.Or(
			first(a.pod.Spec.NodeName == "", b.pod.Spec.NodeName == ""),
			cmp.Compare(phaseOrder(a.pod), phaseOrder(b.pod)),
			first(a.ready.IsZero(), b.ready.IsZero()),
			cmp.Compare(a.cost, b.cost),
			cmp.Compare(b.together, a.together),
			cmp.Compare(magnitude(now, a.ready), magnitude(now, b.ready)),
			cmp.Compare(b.restarts, a.restarts),
			cmp.Compare(magnitude(now, a.pod.CreationTimestamp.Time), magnitude(now, b.pod.CreationTimestamp.Time)),
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

// magnitude is the logarithm of an age: ages of one magnitude count as equal.
func magnitude(now, since time.Time) int {
	if since.IsZero() {
		return 0
	}
	age := now.Sub(since)
	if age < time.Second {
		return 0
	}
	return int(math.Log2(age.Seconds())) + 1
}

// perNode counts the active pods per node of the replica set and of those with
// the same controller: a rollout's scale-down evens out the whole workload.
func perNode(s *projections.Snapshot, rs *appsv1.ReplicaSet, active []*events.Object) map[string]int {
	n := map[string]int{}
	add := func(o *events.Object) {
		if pod := o.Value.(*corev1.Pod); pod.Spec.NodeName != "" && !finished(pod) && pod.DeletionTimestamp == nil {
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
