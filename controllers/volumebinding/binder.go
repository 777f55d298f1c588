package volumebinding

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// New makes the controller.
func New() *controllers.Controller {
	return controllers.New("persistent-volume-binder").
		Watches("", "persistentvolumeclaims", claimChanged).
		Watches("", "persistentvolumes", volumeChanged).
		Watches("storage.k8s.io", "storageclasses", classChanged).
		Writes(events.Bound, events.Released, events.Progressed).
		Reconcile(reconcile)
}

// claimChanged maps a claim to itself and to the volumes that name it.
func claimChanged(s *projections.Snapshot, c projections.Change, add func(events.Key)) {
	add(controllers.KeyOf(c))
	for _, o := range []*events.Object{c.Old, c.New} {
		if claim, ok := valueOf[*corev1.PersistentVolumeClaim](o); ok && claim.Spec.VolumeName != "" {
			add(volumeKey(claim.Spec.VolumeName))
		}
	}
	old, ok := valueOf[*corev1.PersistentVolumeClaim](c.Old)
	if !ok || c.New.Exists() && c.New.Meta().GetUID() == old.UID || old.Spec.VolumeName != "" {
		return
	}
	for o := range s.VolumesOf(old.Namespace, old.Name) { // it is gone, and a volume may have been on its way
		if v, ok := valueOf[*corev1.PersistentVolume](o); ok && v.Spec.ClaimRef != nil && v.Spec.ClaimRef.UID == old.UID {
			add(o.Key)
		}
	}
}

// volumeChanged maps a volume to itself, to its claim, and if it is free to the
// claims of its class that wait.
func volumeChanged(s *projections.Snapshot, c projections.Change, add func(events.Key)) {
	add(controllers.KeyOf(c))
	for _, o := range []*events.Object{c.Old, c.New} {
		if v, ok := valueOf[*corev1.PersistentVolume](o); ok && v.Spec.ClaimRef != nil {
			add(controllers.PersistentVolumeClaim.Key(v.Spec.ClaimRef.Namespace, v.Spec.ClaimRef.Name))
		}
	}
	v, ok := valueOf[*corev1.PersistentVolume](c.New)
	if !ok || v.Status.Phase != corev1.VolumeAvailable || v.Spec.ClaimRef != nil {
		return
	}
	for o := range s.List("", "persistentvolumeclaims", "") {
		claim, ok := valueOf[*corev1.PersistentVolumeClaim](o)
		if ok && claim.Status.Phase != corev1.ClaimBound && (claim.Spec.VolumeName == v.Name || classOf(claim) == v.Spec.StorageClassName) {
			add(o.Key)
		}
	}
}

// classChanged maps a class to the claims that wait for it, or for any default one.
func classChanged(s *projections.Snapshot, c projections.Change, add func(events.Key)) {
	class, ok := valueOf[*storagev1.StorageClass](c.New)
	if !ok {
		return
	}
	for o := range s.List("", "persistentvolumeclaims", "") {
		claim, ok := valueOf[*corev1.PersistentVolumeClaim](o)
		if ok && claim.Status.Phase != corev1.ClaimBound && (classOf(claim) == class.Name || !hasClass(claim)) {
			add(o.Key)
		}
	}
}

func reconcile(_ context.Context, s *projections.Snapshot, key events.Key) (controllers.Result, error) {
	o := s.Get(key)
	if !o.Exists() {
		return controllers.Result{}, nil
	}
	switch v := o.Value.(type) {
	case *corev1.PersistentVolumeClaim:
		if _, ok := v.Annotations[annBindCompleted]; ok {
			return controllers.Do(boundClaim(s, o, v)...), nil
		}
		return controllers.Do(unboundClaim(s, o, v)...), nil
	case *corev1.PersistentVolume:
		return controllers.Do(volume(s, o, v)...), nil
	}
	return controllers.Result{}, nil
}

func volumeKey(name string) events.Key { return controllers.PersistentVolume.Key("", name) }

func valueOf[T any](o *events.Object) (v T, ok bool) {
	if !o.Exists() {
		return v, false
	}
	v, ok = o.Value.(T)
	return v, ok
}
