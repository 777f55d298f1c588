package scheduler

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/component-helpers/storage/ephemeral"
	storagehelpers "k8s.io/component-helpers/storage/volume"

	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// volumes is the scheduler's view of claims and volumes. Pods without claims
// never come here.
type volumes struct {
	claims  map[events.Key]*corev1.PersistentVolumeClaim
	volumes map[string]*corev1.PersistentVolume
	classes map[string]*storagev1.StorageClass
	// free are the volumes without a claim, by class.
	free map[string]*freeVolumes
	// assumed are volumes that were given to a claim and aren't folded so yet.
	assumed map[string]*corev1.PersistentVolume

	// Which placed pods use the claims that only one pod may use.
	users map[events.Key]map[types.UID]struct{}
	uses  map[types.UID][]events.Key
	// exclusive counts the same by claim, but for pods that a dry run of preemption took off.
	exclusive map[events.Key]int
	// What is attached, by node, and which drivers a node must have (CSIDriver).
	attached    map[string]*attached
	attachments map[string]attachment
	needed      map[string]bool
	// touched are claims whose users changed.
	touched []events.Key
}

// freeVolumes are those of one class; the generation tells when they changed.
type freeVolumes struct {
	byName     map[string]*corev1.PersistentVolume
	generation uint64
}

func newVolumes() volumes {
	return volumes{
		claims: map[events.Key]*corev1.PersistentVolumeClaim{}, volumes: map[string]*corev1.PersistentVolume{},
		classes: map[string]*storagev1.StorageClass{}, free: map[string]*freeVolumes{}, assumed: map[string]*corev1.PersistentVolume{},
		users: map[events.Key]map[types.UID]struct{}{}, uses: map[types.UID][]events.Key{},
		exclusive: map[events.Key]int{}, attached: map[string]*attached{}, attachments: map[string]attachment{}, needed: map[string]bool{},
	}
}

// takeAll takes in a snapshot.
func (v *volumes) takeAll(s *projections.Snapshot) {
	for o := range s.List("", "persistentvolumeclaims", "") {
		v.setClaim(o.Key, value[*corev1.PersistentVolumeClaim](o))
	}
	for o := range s.List("", "persistentvolumes", "") {
		v.setVolume(o.Key.Name, value[*corev1.PersistentVolume](o))
	}
	for o := range s.List("storage.k8s.io", "storageclasses", "") {
		v.setClass(o.Key.Name, value[*storagev1.StorageClass](o))
	}
}

// takeDrivers takes in a snapshot's nodes' drivers and what is attached.
func (c *cluster) takeDrivers(s *projections.Snapshot) {
	for o := range s.List("storage.k8s.io", "csidrivers", "") {
		c.setDriver(o.Key.Name, value[*storagev1.CSIDriver](o))
	}
	for o := range s.List("storage.k8s.io", "csinodes", "") {
		c.setCSINode(o.Key.Name, value[*storagev1.CSINode](o))
	}
	for o := range s.List("storage.k8s.io", "volumeattachments", "") {
		c.setAttachment(o.Key.Name, value[*storagev1.VolumeAttachment](o))
	}
}

func set[K comparable, T any](m map[K]*T, key K, value *T) {
	if value == nil {
		delete(m, key)
	} else {
		m[key] = value
	}
}

// The methods set* take in a new version, nil when it is gone.
func (v *volumes) setClaim(key events.Key, claim *corev1.PersistentVolumeClaim) {
	set(v.claims, key, claim)
}

func (v *volumes) setClass(name string, class *storagev1.StorageClass) { set(v.classes, name, class) }

// setVolume gives the class whose free volumes changed, if one's did.
func (v *volumes) setVolume(name string, volume *corev1.PersistentVolume) (class string, changed bool) {
	old := v.volumes[name]
	set(v.volumes, name, volume)
	delete(v.assumed, name)
	if isFree(old) {
		f := v.free[storagehelpers.GetPersistentVolumeClass(old)]
		if isFree(volume) && old.UID == volume.UID && old.Spec.StorageClassName == volume.Spec.StorageClassName {
			f.byName[name] = volume
			return "", false
		}
		delete(f.byName, name)
		f.generation++
		class, changed = storagehelpers.GetPersistentVolumeClass(old), true
	}
	if isFree(volume) {
		class, changed = storagehelpers.GetPersistentVolumeClass(volume), true
		f := v.free[class]
		if f == nil {
			f = &freeVolumes{byName: map[string]*corev1.PersistentVolume{}}
			v.free[class] = f
		}
		f.byName[name] = volume
		f.generation++
	}
	return class, changed
}

func isFree(v *corev1.PersistentVolume) bool {
	return v != nil && v.Spec.ClaimRef == nil && v.Status.Phase == corev1.VolumeAvailable && v.DeletionTimestamp == nil
}

// claimsOf names a pod's claims, each once; nil if it has none.
func claimsOf(pod *corev1.Pod) []events.Key {
	var out []events.Key
	for i := range pod.Spec.Volumes {
		key := events.Key{Resource: "persistentvolumeclaims", Namespace: pod.Namespace}
		switch s := &pod.Spec.Volumes[i]; {
		case s.PersistentVolumeClaim != nil:
			key.Name = s.PersistentVolumeClaim.ClaimName
		case s.Ephemeral != nil:
			key.Name = ephemeral.VolumeClaimName(pod, s)
		default:
			continue
		}
		if !slices.Contains(out, key) {
			out = append(out, key)
		}
	}
	return out
}

// use records that a pod is placed.
func (v *volumes) use(pod *corev1.Pod) {
	for _, key := range v.exclusiveOf(pod) {
		if v.users[key] == nil {
			v.users[key] = map[types.UID]struct{}{}
		}
		if _, ok := v.users[key][pod.UID]; !ok {
			v.users[key][pod.UID] = struct{}{}
			v.uses[pod.UID] = append(v.uses[pod.UID], key)
			v.touched = append(v.touched, key)
		}
	}
}

// unuse records that it isn't any more.
func (v *volumes) unuse(uid types.UID) {
	for _, key := range v.uses[uid] {
		if delete(v.users[key], uid); len(v.users[key]) == 0 {
			delete(v.users, key)
		}
		v.touched = append(v.touched, key)
	}
	delete(v.uses, uid)
}
