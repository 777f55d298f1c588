package attachdetach

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/projections"
)

// newFor is how long after its creation a pod is told what its volume waits for.
const newFor = time.Minute

// tellWaiting tells the new pods of a node that their volume is attached to another
// node, and which pods use it there.
func tellWaiting(s *projections.Snapshot, v *corev1.PersistentVolume, node string, now time.Time) []controllers.Intent {
	var waiting []*corev1.Pod
	var users []string
	for pod := range projections.List[*corev1.Pod](s, "", "pods", v.Spec.ClaimRef.Namespace) {
		if pod.Spec.NodeName == "" || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed || !uses(s, pod, v) {
			continue
		}
		if pod.Spec.NodeName != node {
			users = append(users, pod.Name)
		} else if pod.DeletionTimestamp == nil && now.Sub(pod.CreationTimestamp.Time) < newFor {
			waiting = append(waiting, pod)
		}
	}
	why := "Volume is already exclusively attached to one node, waiting on detach before it can be attached to another node"
	if len(users) > 0 {
		slices.Sort(users)
		why = fmt.Sprintf("Volume is already used by pod(s) %s", strings.Join(users, ", "))
	}
	var out []controllers.Intent
	for _, pod := range waiting {
		out = append(out, controllers.Progressed(s.Get(controllers.Pod.Key(pod.Namespace, pod.Name)), pod).
			Because("FailedAttachVolume", "Waiting for detach for volume %q %s", v.Name, why))
	}
	return out
}

func uses(s *projections.Snapshot, pod *corev1.Pod, v *corev1.PersistentVolume) bool {
	for i := range pod.Spec.Volumes {
		if found := attachable(s, pod, &pod.Spec.Volumes[i]); found != nil && found.Name == v.Name {
			return true
		}
	}
	return false
}
