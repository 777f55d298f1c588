package attachdetach_test

import (
	"fmt"
	"testing"
	"testing/synctest"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/attachdetach"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

func TestAttachments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		w.Run(attachdetach.New())
		for _, n := range []string{"n1", "n2"} {
			w.Create(controllers.Node, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: n}})
		}
		no := false
		w.Create(controllers.Kind{Group: "storage.k8s.io", Version: "v1", Kind: "CSIDriver", Resource: "csidrivers"},
			&storagev1.CSIDriver{ObjectMeta: metav1.ObjectMeta{Name: "plain.example.com"}, Spec: storagev1.CSIDriverSpec{AttachRequired: &no}})
		for i, driver := range []string{"disk.example.com", "plain.example.com"} {
			name := fmt.Sprintf("c%d", i)
			claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}
			claim.Spec.VolumeName = "v" + name
			w.Create(controllers.PersistentVolumeClaim, claim)
			v := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "v" + name}}
			v.Spec.Capacity = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}
			v.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}
			v.Spec.CSI = &corev1.CSIPersistentVolumeSource{Driver: driver, VolumeHandle: "handle-" + name}
			uid := controllertest.Get[*corev1.PersistentVolumeClaim](w, controllers.PersistentVolumeClaim.Key("default", name)).UID
			v.Spec.ClaimRef = &corev1.ObjectReference{Namespace: "default", Name: name, UID: uid}
			w.Create(controllers.PersistentVolume, v)
		}
		pod := func(name, node, claim string) {
			p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}
			p.Spec.NodeName = node
			p.Spec.Volumes = []corev1.Volume{{Name: "d", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim}}}}
			w.Create(controllers.Pod, p)
		}
		answer := func(attached bool) { // as an external attacher
			for va := range projections.List[*storagev1.VolumeAttachment](w.Snapshot(), "storage.k8s.io", "volumeattachments", "") {
				w.PatchStatus(controllers.VolumeAttachment.Key("", va.Name), `{"status":{"attached":%t}}`, attached)
			}
		}
		script := controllertest.NewTranscript(w, "attachments")
		script.Keep = func(e *events.Event) bool { return e.Key.Resource == "pods" || e.Key.Resource == "volumeattachments" }
		pod("one", "n1", "c0")
		script.Step("a pod comes")
		answer(true)
		script.Step("its volume is attached")
		node := controllertest.Get[*corev1.Node](w, controllers.Node.Key("", "n1"))
		script.Say("the node", fmt.Sprint(node.Status.VolumesAttached))
		pod("plain", "n1", "c1")
		script.Step("a pod of a driver without attachments")
		pod("two", "n2", "c0")
		script.Step("the same volume on a second node has to wait")
		w.PatchStatus(controllers.Node.Key("", "n1"), `{"status":{"volumesInUse":["kubernetes.io/csi/disk.example.com^handle-c0"]}}`)
		w.Settle()
		w.PatchStatus(controllers.Pod.Key("default", "one"), `{"status":{"phase":"Succeeded"}}`)
		script.Step("the pod ends, the node still has it mounted")
		w.PatchStatus(controllers.Node.Key("", "n1"), `{"status":{"volumesInUse":null}}`)
		script.Step("the node lets go")
		node = controllertest.Get[*corev1.Node](w, controllers.Node.Key("", "n1"))
		script.Say("the first node", fmt.Sprint(node.Status.VolumesAttached))
		w.Delete(controllers.Node.Key("", "n2"), "")
		script.Step("the second node goes")
		script.Done()
	})
}
