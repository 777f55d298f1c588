package volumeprotection

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-helpers/storage/ephemeral"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

const claimFinalizer = "kubernetes.io/pvc-protection"

// NewClaims makes the controller that protects claims.
func NewClaims() *controllers.Controller {
	return controllers.New("pvc-protection-controller").
		For("", "persistentvolumeclaims").
		Watches("", "pods", podChanged).
		Reconcile(protectClaim)
}

// podChanged maps a pod that is gone, or finished, to its claims that wait for that.
func podChanged(s *projections.Snapshot, c projections.Change, add func(events.Key)) {
	if !c.Old.Exists() {
		return
	}
	pod, ok := c.Old.Value.(*corev1.Pod)
	if !ok || len(pod.Spec.Volumes) == 0 {
		return
	}
	if c.New.Exists() {
		if now, ok := c.New.Value.(*corev1.Pod); ok && now.UID == pod.UID && shutDown(now) == shutDown(pod) {
			return
		}
	}
	for i := range pod.Spec.Volumes {
		name := claimName(pod, &pod.Spec.Volumes[i])
		if name == "" {
			continue
		}
		key := controllers.PersistentVolumeClaim.Key(pod.Namespace, name)
		if o := s.Get(key); o.Exists() && o.Meta().GetDeletionTimestamp() != nil {
			add(key)
		}
	}
}

func claimName(pod *corev1.Pod, v *corev1.Volume) string {
	switch {
	case v.PersistentVolumeClaim != nil:
		return v.PersistentVolumeClaim.ClaimName
	case v.Ephemeral != nil:
		return ephemeral.VolumeClaimName(pod, v)
	}
	return ""
}

func protectClaim(_ context.Context, s *projections.Snapshot, key events.Key) (controllers.Result, error) {
	claim, ok := projections.Get[*corev1.PersistentVolumeClaim](s, key)
	if !ok {
		return controllers.Result{}, nil
	}
	return controllers.Do(protect(s.Get(key), claimFinalizer, func() bool { return used(s, claim) })...), nil
}

// protect adds the finalizer to what lives and takes it off what is deleted and not used.
func protect(o *events.Object, finalizer string, used func() bool) []controllers.Intent {
	m := o.Meta()
	has := slices.Contains(m.GetFinalizers(), finalizer)
	deleted := m.GetDeletionTimestamp() != nil
	if has == !deleted || deleted && !has || deleted && used() {
		return nil
	}
	changed := o.Value.DeepCopyObject()
	to := changed.(metav1.Object)
	if deleted {
		to.SetFinalizers(slices.DeleteFunc(to.GetFinalizers(), func(f string) bool { return f == finalizer }))
	} else {
		to.SetFinalizers(append(to.GetFinalizers(), finalizer))
	}
	return []controllers.Intent{controllers.Update(o, changed)}
}

func used(s *projections.Snapshot, claim *corev1.PersistentVolumeClaim) bool {
	for pod := range projections.List[*corev1.Pod](s, "", "pods", claim.Namespace) {
		if pod.Spec.NodeName == "" {
			continue
		}
		for i := range pod.Spec.Volumes {
			v := &pod.Spec.Volumes[i]
			if claimName(pod, v) != claim.Name {
				continue
			}
			if v.Ephemeral == nil || !shutDown(pod) && ephemeral.VolumeIsForPod(pod, claim) == nil {
				return true
			}
		}
	}
	return false
}

// shutDown reports a pod of which nothing runs any more though it is still there.
func shutDown(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp != nil && pod.DeletionGracePeriodSeconds != nil && *pod.DeletionGracePeriodSeconds == 0
}
