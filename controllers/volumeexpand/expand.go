package volumeexpand

import (
	"context"
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	storagehelpers "k8s.io/component-helpers/storage/volume"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/localpath"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

const annTold = "reckon.dev/told"

// New makes the controller.
func New() *controllers.Controller {
	return controllers.New("expand-controller").
		Watches("", "persistentvolumeclaims", func(_ *projections.Snapshot, c projections.Change, add func(events.Key)) {
			if c.New.Exists() {
				if claim, ok := c.New.Value.(*corev1.PersistentVolumeClaim); ok && grows(claim) {
					add(c.New.Key)
				}
			}
		}).
		Watches("", "persistentvolumes", volumeChanged).
		Writes(events.Progressed).
		Reconcile(reconcile)
}

// volumeChanged maps a volume that grew to its claim.
func volumeChanged(_ *projections.Snapshot, c projections.Change, add func(events.Key)) {
	if !c.Old.Exists() || !c.New.Exists() {
		return
	}
	old, ok1 := c.Old.Value.(*corev1.PersistentVolume)
	v, ok2 := c.New.Value.(*corev1.PersistentVolume)
	if !ok1 || !ok2 || v.Spec.ClaimRef == nil {
		return
	}
	was := old.Spec.Capacity[corev1.ResourceStorage]
	if is := v.Spec.Capacity[corev1.ResourceStorage]; was.Cmp(is) != 0 {
		add(controllers.PersistentVolumeClaim.Key(v.Spec.ClaimRef.Namespace, v.Spec.ClaimRef.Name))
	}
}

// grows reports a bound claim that asks for more than it has.
func grows(claim *corev1.PersistentVolumeClaim) bool {
	has, bound := claim.Status.Capacity[corev1.ResourceStorage]
	wants := claim.Spec.Resources.Requests[corev1.ResourceStorage]
	return bound && claim.Status.Phase == corev1.ClaimBound && claim.DeletionTimestamp == nil && wants.Cmp(has) > 0
}

func reconcile(_ context.Context, s *projections.Snapshot, key events.Key) (controllers.Result, error) {
	claim, ok := projections.Get[*corev1.PersistentVolumeClaim](s, key)
	if !ok || !grows(claim) {
		return controllers.Result{}, nil
	}
	v, ok := projections.Get[*corev1.PersistentVolume](s, controllers.PersistentVolume.Key("", claim.Spec.VolumeName))
	if !ok || v.Spec.ClaimRef == nil || v.Spec.ClaimRef.UID != claim.UID {
		return controllers.Result{}, nil
	}
	wants := claim.Spec.Resources.Requests[corev1.ResourceStorage]
	if v.Annotations[storagehelpers.AnnDynamicallyProvisioned] != localpath.Provisioner {
		return controllers.Do(leave(s.Get(key), claim, wants)...), nil
	}
	if have := v.Spec.Capacity[corev1.ResourceStorage]; have.Cmp(wants) < 0 {
		changed := v.DeepCopy()
		changed.Spec.Capacity[corev1.ResourceStorage] = wants
		return controllers.Do(controllers.Patch(s.Get(controllers.PersistentVolume.Key("", v.Name)), changed)), nil
	}
	changed := claim.DeepCopy()
	changed.Status.Capacity = maps.Clone(claim.Status.Capacity)
	changed.Status.Capacity[corev1.ResourceStorage] = v.Spec.Capacity[corev1.ResourceStorage]
	return controllers.Do(controllers.Progressed(s.Get(key), changed).
		Because("FileSystemResizeSuccessful", "the volume is a folder without a quota: its size is what the claim says")), nil
}

// leave tells that somebody else has to do it.
func leave(o *events.Object, claim *corev1.PersistentVolumeClaim, wants resource.Quantity) []controllers.Intent {
	told := "ExternalExpanding " + wants.String()
	if claim.Annotations[annTold] == told {
		return nil
	}
	changed := claim.DeepCopy()
	changed.Annotations = maps.Clone(claim.Annotations)
	if changed.Annotations == nil {
		changed.Annotations = map[string]string{}
	}
	changed.Annotations[annTold] = told
	return []controllers.Intent{controllers.Progressed(o, changed).
		Because("ExternalExpanding", "waiting for an external controller to expand this PVC")}
}
