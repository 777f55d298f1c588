package scheduler

import (
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"

	"github.com/reckon-project/reckon/projections"
)

// takeVolumes plays an event about claims and volumes, and looks again at the
// pods that wait for some. Volumes are where they were on record: a pod of a backtest goes there, too.
func (b *backtest) takeVolumes(c projections.Change) {
	again := len(b.tried.volumes.touched) > 0
	for _, side := range []*cluster{b.recorded, b.tried} {
		side.volumes.touched = nil
		switch k := c.Event.Key; k.Resource {
		case "persistentvolumeclaims":
			side.volumes.setClaim(k, value[*corev1.PersistentVolumeClaim](c.New))
		case "persistentvolumes":
			side.volumes.setVolume(k.Name, value[*corev1.PersistentVolume](c.New))
		case "storageclasses":
			side.volumes.setClass(k.Name, value[*storagev1.StorageClass](c.New))
		case "csinodes", "volumeattachments", "csidrivers":
			side.takeDriver(c)
			continue
		default:
			if !side.takeDevice(c) {
				continue
			}
		}
		again = true
	}
	if !again || len(b.queue.claiming) == 0 {
		return
	}
	for _, of := range b.queue.claiming {
		for p := range of {
			if cl := b.tried.classOf(p.pod); cl != p.class {
				b.queue.reclass(p, cl)
			}
		}
	}
	b.placeActive()
}
