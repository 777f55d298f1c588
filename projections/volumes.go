package projections

import (
	"iter"

	corev1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/events"
)

// VolumesOf yields the volumes whose claimRef names a claim, in order of name.
func (s *Snapshot) VolumesOf(namespace, claim string) iter.Seq[*events.Object] {
	return s.volumesAt(claimPlace(namespace, claim))
}

// FreeVolumes yields the volumes of a class that have no claimRef, in order of name.
func (s *Snapshot) FreeVolumes(class string) iter.Seq[*events.Object] {
	return s.volumesAt(classPlace(class))
}

func (s *Snapshot) volumesAt(place string) iter.Seq[*events.Object] {
	return func(yield func(*events.Object) bool) {
		if t := s.table(resource{"", "persistentvolumes"}); t != nil {
			t.indexed(&t.byPlace, place, yield)
		}
	}
}

// placeOf is what an object is looked for by: a pod's node; a volume's claim, or
// its class while it has none. No fact changes it.
func placeOf(o *events.Object) string {
	switch v := o.Value.(type) {
	case *corev1.Pod:
		return v.Spec.NodeName
	case *corev1.PersistentVolume:
		if ref := v.Spec.ClaimRef; ref != nil {
			return claimPlace(ref.Namespace, ref.Name)
		}
		if class, ok := v.Annotations[corev1.BetaStorageClassAnnotation]; ok {
			return classPlace(class)
		}
		return classPlace(v.Spec.StorageClassName)
	}
	return ""
}

func claimPlace(namespace, claim string) string { return "claim/" + namespace + "/" + claim }

func classPlace(class string) string { return "class/" + class }
