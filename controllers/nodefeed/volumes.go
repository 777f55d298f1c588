package nodefeed

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/localpath"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// volumes is what nodes need to know of volumes: of those behind the claims that
// their pods use, and of those whose folder they are to remove.
type volumes struct {
	behind map[events.Key]events.Key // by claim in use
	doomed map[events.Key]string     // by volume: the node
}

func newVolumes() volumes {
	return volumes{behind: map[events.Key]events.Key{}, doomed: map[events.Key]string{}}
}

func isClaim(k events.Key) bool { return k.Group == "" && k.Resource == claim.Resource }

func isVolume(k events.Key) bool {
	return k.Group == "" && k.Resource == controllers.PersistentVolume.Resource
}

// behindOf is the volume of a claim; its name is "" while the claim has none.
func behindOf(s *projections.Snapshot, key events.Key) events.Key {
	c, ok := projections.Get[*corev1.PersistentVolumeClaim](s, key)
	if !ok || c.Spec.VolumeName == "" || c.Status.Phase != corev1.ClaimBound {
		return events.Key{}
	}
	return controllers.PersistentVolume.Key("", c.Spec.VolumeName)
}

// claimUsed gives a node, which now uses a claim, the volume behind it.
func (t *tables) claimUsed(s *projections.Snapshot, key events.Key, on string) {
	if _, known := t.volumes.behind[key]; !known {
		t.volumes.behind[key] = behindOf(s, key)
	}
	if v := t.volumes.behind[key]; v.Name != "" {
		t.use(s, v, on)
	}
}

// claimUnused takes it away again.
func (t *tables) claimUnused(s *projections.Snapshot, key events.Key, on string) {
	if v := t.volumes.behind[key]; v.Name != "" {
		t.unuse(s, v, on)
	}
	if len(t.users[key]) == 0 {
		delete(t.volumes.behind, key)
	}
}

// claimChanged has the nodes of a claim follow it to another volume.
func (t *tables) claimChanged(s *projections.Snapshot, key events.Key) {
	old, known := t.volumes.behind[key]
	now := behindOf(s, key)
	if !known || old == now {
		return
	}
	t.volumes.behind[key] = now
	for _, on := range slices.Sorted(maps.Keys(t.users[key])) {
		if now.Name != "" {
			t.use(s, now, on)
		}
		if old.Name != "" {
			t.unuse(s, old, on)
		}
	}
}

// volumeChanged shows a volume to the node that is to remove its folder.
func (t *tables) volumeChanged(s *projections.Snapshot, key events.Key) {
	on := ""
	if v, ok := projections.Get[*corev1.PersistentVolume](s, key); ok {
		on = localpath.DoomedOn(v)
	}
	t.move(s, t.volumes.doomed, key, on)
}

// move shows an object to the node that it is on now ("": none), and no longer to
// the one that it was on; where remembers that.
func (t *tables) move(s *projections.Snapshot, where map[events.Key]string, key events.Key, on string) {
	was := where[key]
	if was == on {
		return
	}
	if on == "" {
		delete(where, key)
	} else {
		where[key] = on
		t.use(s, key, on)
	}
	if was != "" {
		t.unuse(s, key, was)
	}
}

// allVolumes looks at every volume.
func (t *tables) allVolumes(s *projections.Snapshot) {
	for key := range maps.Clone(t.volumes.behind) {
		t.claimChanged(s, key)
	}
	for key := range maps.Clone(t.volumes.doomed) {
		t.volumeChanged(s, key)
	}
	for o := range s.List("", controllers.PersistentVolume.Resource, "") {
		t.volumeChanged(s, o.Key)
	}
}
