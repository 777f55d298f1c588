package volumeprotection

import (
	"context"

	corev1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

const volumeFinalizer = "kubernetes.io/pv-protection"

// NewVolumes makes the controller that protects volumes.
func NewVolumes() *controllers.Controller {
	return controllers.New("pv-protection-controller").
		For("", "persistentvolumes").
		Reconcile(func(_ context.Context, s *projections.Snapshot, key events.Key) (controllers.Result, error) {
			v, ok := projections.Get[*corev1.PersistentVolume](s, key)
			if !ok {
				return controllers.Result{}, nil
			}
			return controllers.Do(protect(s.Get(key), volumeFinalizer, func() bool { return v.Status.Phase == corev1.VolumeBound })...), nil
		})
}
