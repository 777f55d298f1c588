package attachdetach

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// New makes the controller. Its keys are nodes.
func New() *controllers.Controller {
	return controllers.New("attachdetach-controller").
		Watches("", "pods", podChanged).
		Watches("", "persistentvolumeclaims", claimChanged).
		Watches("", "nodes", nodeChanged).
		Watches("storage.k8s.io", "volumeattachments", attachmentChanged).
		Writes(events.Progressed).
		Reconcile(reconcile)
}

func reconcile(ctx context.Context, s *projections.Snapshot, key events.Key) (controllers.Result, error) {
	o := s.Get(key)
	wanted := map[string]*corev1.PersistentVolume{} // by the attachment's name
	if o.Exists() {
		wanted = wantedOn(s, key.Name)
	}
	var there []*events.Object // this node's
	elsewhere := map[string]bool{}
	for a := range s.List("storage.k8s.io", "volumeattachments", "") {
		va, ok := a.Value.(*storagev1.VolumeAttachment)
		switch {
		case !ok || va.Spec.Source.PersistentVolumeName == nil:
		case va.Spec.NodeName == key.Name:
			there = append(there, a)
		default:
			elsewhere[*va.Spec.Source.PersistentVolumeName] = true
		}
	}
	var intents, told []controllers.Intent
	node, _ := value[*corev1.Node](o)
	var attached []corev1.AttachedVolume
	for _, a := range there {
		va := a.Value.(*storagev1.VolumeAttachment)
		unique := uniqueName(s, va)
		if va.Status.Attached && unique != "" {
			attached = append(attached, corev1.AttachedVolume{Name: unique})
		}
		if _, ok := wanted[va.Name]; ok {
			delete(wanted, va.Name)
			continue
		}
		mine := strings.HasPrefix(va.Name, prefix)
		if mine && va.DeletionTimestamp == nil && (node == nil || !slices.Contains(node.Status.VolumesInUse, unique)) {
			intents = append(intents, controllers.Delete(a))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		v := wanted[name]
		if elsewhere[v.Name] && exclusive(v) { // it comes back when that attachment goes
			told = append(told, tellWaiting(s, v, key.Name, controllers.Now(ctx))...)
			continue
		}
		intents = append(intents, controllers.Create(controllers.VolumeAttachment, attachment(name, v, key.Name)))
	}
	if node != nil {
		slices.SortFunc(attached, func(a, b corev1.AttachedVolume) int { return strings.Compare(string(a.Name), string(b.Name)) })
		if !slices.Equal(attached, node.Status.VolumesAttached) {
			changed := *node
			changed.Status.VolumesAttached = attached
			intents = append(intents, controllers.Progressed(o, &changed))
		}
	}
	return controllers.Do(append(intents, told...)...), nil
}

// prefix begins the names of the attachments that are made here.
const prefix = "csi-"

func nameFor(v *corev1.PersistentVolume, node string) string {
	return fmt.Sprintf("%s%x", prefix, sha256.Sum256([]byte(v.Spec.CSI.VolumeHandle+v.Spec.CSI.Driver+node)))
}

// exclusive reports a volume that one node may have at a time.
func exclusive(v *corev1.PersistentVolume) bool {
	return !slices.ContainsFunc(v.Spec.AccessModes, func(m corev1.PersistentVolumeAccessMode) bool {
		return m == corev1.ReadWriteMany || m == corev1.ReadOnlyMany
	})
}

func attachment(name string, v *corev1.PersistentVolume, node string) *storagev1.VolumeAttachment {
	return &storagev1.VolumeAttachment{
		TypeMeta:   metav1.TypeMeta{APIVersion: "storage.k8s.io/v1", Kind: "VolumeAttachment"},
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: storagev1.VolumeAttachmentSpec{
			Attacher: v.Spec.CSI.Driver, NodeName: node,
			Source: storagev1.VolumeAttachmentSource{PersistentVolumeName: &v.Name},
		},
	}
}

// uniqueName is what a node's status calls the volume of an attachment.
func uniqueName(s *projections.Snapshot, va *storagev1.VolumeAttachment) corev1.UniqueVolumeName {
	v, ok := projections.Get[*corev1.PersistentVolume](s, controllers.PersistentVolume.Key("", *va.Spec.Source.PersistentVolumeName))
	if !ok || v.Spec.CSI == nil {
		return ""
	}
	return corev1.UniqueVolumeName("kubernetes.io/csi/" + v.Spec.CSI.Driver + "^" + v.Spec.CSI.VolumeHandle)
}
