package attachdetach

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/component-helpers/storage/ephemeral"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// wantedOn gives the volumes that a node's pods need attached, by their attachment's name.
func wantedOn(s *projections.Snapshot, node string) map[string]*corev1.PersistentVolume {
	out := map[string]*corev1.PersistentVolume{}
	for o := range s.PodsOn(node) {
		pod, ok := o.Value.(*corev1.Pod)
		if !ok || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
			continue
		}
		for i := range pod.Spec.Volumes {
			if v := attachable(s, pod, &pod.Spec.Volumes[i]); v != nil {
				out[nameFor(v, node)] = v
			}
		}
	}
	return out
}

// attachable is the volume behind a pod's claim if it is to be attached, otherwise nil.
func attachable(s *projections.Snapshot, pod *corev1.Pod, pv *corev1.Volume) *corev1.PersistentVolume {
	name := ""
	switch {
	case pv.PersistentVolumeClaim != nil:
		name = pv.PersistentVolumeClaim.ClaimName
	case pv.Ephemeral != nil:
		name = ephemeral.VolumeClaimName(pod, pv)
	default:
		return nil
	}
	claim, ok := projections.Get[*corev1.PersistentVolumeClaim](s, controllers.PersistentVolumeClaim.Key(pod.Namespace, name))
	if !ok || claim.Spec.VolumeName == "" {
		return nil
	}
	v, ok := projections.Get[*corev1.PersistentVolume](s, controllers.PersistentVolume.Key("", claim.Spec.VolumeName))
	if !ok || v.Spec.CSI == nil || v.Spec.ClaimRef == nil || v.Spec.ClaimRef.UID != claim.UID {
		return nil
	}
	driver, ok := projections.Get[*storagev1.CSIDriver](s, events.Key{Group: "storage.k8s.io", Resource: "csidrivers", Name: v.Spec.CSI.Driver})
	if ok && driver.Spec.AttachRequired != nil && !*driver.Spec.AttachRequired {
		return nil
	}
	return v
}

func podChanged(s *projections.Snapshot, c projections.Change, add func(events.Key)) {
	old, had := value[*corev1.Pod](c.Old)
	pod, has := value[*corev1.Pod](c.New)
	if !has {
		pod = old
	}
	if pod == nil || pod.Spec.NodeName == "" ||
		had && has && old.UID == pod.UID && old.Spec.NodeName == pod.Spec.NodeName && old.Status.Phase == pod.Status.Phase {
		return
	}
	for i := range pod.Spec.Volumes {
		if attachable(s, pod, &pod.Spec.Volumes[i]) != nil {
			add(controllers.Node.Key("", pod.Spec.NodeName))
			return
		}
	}
}

// claimChanged maps a claim that got or lost its CSI volume to the nodes of its pods.
func claimChanged(s *projections.Snapshot, c projections.Change, add func(events.Key)) {
	old, _ := value[*corev1.PersistentVolumeClaim](c.Old)
	claim, ok := value[*corev1.PersistentVolumeClaim](c.New)
	if !ok || claim.Spec.VolumeName == "" || old != nil && old.Spec.VolumeName == claim.Spec.VolumeName {
		return
	}
	v, ok := projections.Get[*corev1.PersistentVolume](s, controllers.PersistentVolume.Key("", claim.Spec.VolumeName))
	if !ok || v.Spec.CSI == nil {
		return
	}
	for pod := range projections.List[*corev1.Pod](s, "", "pods", claim.Namespace) {
		if pod.Spec.NodeName != "" && len(pod.Spec.Volumes) > 0 {
			add(controllers.Node.Key("", pod.Spec.NodeName))
		}
	}
}

// nodeChanged leaves out, at the start, nodes that have no volume: what their pods
// want is seen with the pods.
func nodeChanged(_ *projections.Snapshot, c projections.Change, add func(events.Key)) {
	old, had := value[*corev1.Node](c.Old)
	node, has := value[*corev1.Node](c.New)
	if had && has && slices.Equal(old.Status.VolumesInUse, node.Status.VolumesInUse) && slices.Equal(old.Status.VolumesAttached, node.Status.VolumesAttached) {
		return
	}
	if c.Event == nil && has && len(node.Status.VolumesInUse)+len(node.Status.VolumesAttached) == 0 {
		return
	}
	add(controllers.KeyOf(c))
}

// attachmentChanged maps an attachment to its node, and one that is gone to all
// nodes that may wait for the volume.
func attachmentChanged(s *projections.Snapshot, c projections.Change, add func(events.Key)) {
	for _, o := range []*events.Object{c.Old, c.New} {
		if va, ok := value[*storagev1.VolumeAttachment](o); ok {
			add(controllers.Node.Key("", va.Spec.NodeName))
		}
	}
	old, ok := value[*storagev1.VolumeAttachment](c.Old)
	if !ok || c.New.Exists() || old.Spec.Source.PersistentVolumeName == nil {
		return
	}
	v, ok := projections.Get[*corev1.PersistentVolume](s, controllers.PersistentVolume.Key("", *old.Spec.Source.PersistentVolumeName))
	if !ok || v.Spec.ClaimRef == nil {
		return
	}
	for pod := range projections.List[*corev1.Pod](s, "", "pods", v.Spec.ClaimRef.Namespace) {
		if pod.Spec.NodeName != "" && pod.Spec.NodeName != old.Spec.NodeName && len(pod.Spec.Volumes) > 0 {
			add(controllers.Node.Key("", pod.Spec.NodeName))
		}
	}
}

func value[T any](o *events.Object) (v T, ok bool) {
	if !o.Exists() {
		return v, false
	}
	v, ok = o.Value.(T)
	return v, ok
}
