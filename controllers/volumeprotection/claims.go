package volumeprotection

import (
	"context"
	"slices"
	"time"

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
		Watches("", "persistentvolumeclaims", func(_ *projections.Snapshot, c projections.Change, add func(events.Key)) {
			if c.New.Exists() {
				add(keyFor(c.New))
			}
		}).
		Watches("", "pods", podChanged).
		Reconcile(protectClaims)
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
			add(keyFor(o))
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

// keyFor is a claim's own key, or for one that is being deleted that of all of them
// in its namespace (no name): pods are looked through once for all.
func keyFor(claim *events.Object) events.Key {
	key := claim.Key
	if claim.Meta().GetDeletionTimestamp() != nil {
		key.Name = ""
	}
	return key
}

// quietPerPod is how long a look through a namespace keeps the next one off, per
// pod and claim in it.
const quietPerPod = 2 * time.Microsecond

func protectClaims(_ context.Context, s *projections.Snapshot, key events.Key) (controllers.Result, error) {
	if key.Name != "" {
		if o := s.Get(key); o.Exists() && o.Meta().GetDeletionTimestamp() == nil {
			return controllers.Do(protect(o, claimFinalizer, nil)...), nil
		}
		return controllers.Result{}, nil
	}
	var intents []controllers.Intent
	var inUse map[string]bool
	looked := 0
	for o := range s.List("", "persistentvolumeclaims", key.Namespace) {
		looked++
		claim, ok := o.Value.(*corev1.PersistentVolumeClaim)
		if !ok || claim.DeletionTimestamp == nil {
			continue
		}
		if inUse == nil {
			inUse = used(s, key.Namespace)
		}
		intents = append(intents, protect(o, claimFinalizer, func() bool { return inUse[claim.Name] })...)
	}
	looked += s.Len("", "pods")
	return controllers.Result{Intents: intents, Quiet: time.Duration(looked) * quietPerPod}, nil
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

// used are the names of a namespace's claims that its pods use.
func used(s *projections.Snapshot, namespace string) map[string]bool {
	out := map[string]bool{}
	for pod := range projections.List[*corev1.Pod](s, "", "pods", namespace) {
		if pod.Spec.NodeName == "" {
			continue
		}
		for i := range pod.Spec.Volumes {
			v := &pod.Spec.Volumes[i]
			name := claimName(pod, v)
			if name == "" || out[name] {
				continue
			}
			if v.Ephemeral == nil {
				out[name] = true
				continue
			}
			claim, ok := projections.Get[*corev1.PersistentVolumeClaim](s, controllers.PersistentVolumeClaim.Key(namespace, name))
			out[name] = ok && !shutDown(pod) && ephemeral.VolumeIsForPod(pod, claim) == nil
		}
	}
	return out
}

// shutDown reports a pod of which nothing runs any more though it is still there.
func shutDown(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp != nil && pod.DeletionGracePeriodSeconds != nil && *pod.DeletionGracePeriodSeconds == 0
}
