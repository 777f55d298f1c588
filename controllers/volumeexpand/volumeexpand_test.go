package volumeexpand_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/controllers/localpath"
	"github.com/reckon-project/reckon/controllers/volumeexpand"
)

var (
	claimKey  = controllers.PersistentVolumeClaim.Key("default", "data")
	volumeKey = controllers.PersistentVolume.Key("", "v")
)

// tell plays with a claim of 1Gi bound to a volume that a provisioner made.
func tell(t *testing.T, name, provisioner string, play func(w *controllertest.World, step func(format string, args ...any))) {
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		w.InFlight = 1
		w.Run(volumeexpand.New())
		size := corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}
		w.Create(controllers.PersistentVolumeClaim, &corev1.PersistentVolumeClaim{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "data"},
			Spec:       corev1.PersistentVolumeClaimSpec{VolumeName: "v", Resources: corev1.VolumeResourceRequirements{Requests: size}},
		})
		c := controllertest.Get[*corev1.PersistentVolumeClaim](w, claimKey)
		v := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "v"}, Spec: corev1.PersistentVolumeSpec{Capacity: size, ClaimRef: reference(c.UID)}}
		if provisioner != "" {
			v.Annotations = map[string]string{"pv.kubernetes.io/provisioned-by": provisioner}
		}
		w.Create(controllers.PersistentVolume, v)
		script := controllertest.NewTranscript(w, name)
		play(w, func(format string, args ...any) {
			script.Step(format, args...)
			c, v := controllertest.Get[*corev1.PersistentVolumeClaim](w, claimKey), controllertest.Get[*corev1.PersistentVolume](w, volumeKey)
			wants, has, is := c.Spec.Resources.Requests[corev1.ResourceStorage], c.Status.Capacity[corev1.ResourceStorage], v.Spec.Capacity[corev1.ResourceStorage]
			script.Say("sizes", fmt.Sprintf("the claim wants %s and has %s, the volume is %s", wants.String(), has.String(), is.String()))
		})
		script.Done()
	})
}

func reference(uid types.UID) *corev1.ObjectReference {
	return &corev1.ObjectReference{Kind: "PersistentVolumeClaim", Namespace: "default", Name: "data", UID: uid}
}

func ask(w *controllertest.World, size string) {
	w.Patch(claimKey, `{"spec":{"resources":{"requests":{"storage":%q}}}}`, size)
}

func bind(w *controllertest.World) {
	w.PatchStatus(claimKey, `{"status":{"phase":"Bound","capacity":{"storage":"1Gi"}}}`)
}

func TestALocalPathGrows(t *testing.T) {
	tell(t, "local", localpath.Provisioner, func(w *controllertest.World, step func(string, ...any)) {
		ask(w, "2Gi")
		step("a claim that isn't bound asks for more")
		bind(w)
		step("it is bound")
		ask(w, "1Gi")
		step("it asks for less: what it has stays")
		w.Patch(volumeKey, `{"spec":{"capacity":{"storage":"8Gi"}}}`)
		step("somebody makes the volume larger")
		ask(w, "4Gi")
		step("the claim asks for a part of that")
		w.Patch(claimKey, `{"metadata":{"finalizers":["example.com/waits"]}}`)
		w.Delete(claimKey, "")
		ask(w, "16Gi")
		step("it is deleted")
	})
}

func TestSomebodyElseGrowsIt(t *testing.T) {
	tell(t, "elsewhere", "disk.example.com", func(w *controllertest.World, step func(string, ...any)) {
		bind(w)
		ask(w, "2Gi")
		step("a claim of another provisioner asks for more")
		w.Patch(claimKey, `{"metadata":{"labels":{"x":"y"}}}`)
		w.Advance(time.Hour)
		step("that is told once")
		ask(w, "3Gi")
		step("and again when it asks for still more")
		w.Patch(volumeKey, `{"spec":{"capacity":{"storage":"3Gi"}}}`)
		w.PatchStatus(claimKey, `{"status":{"capacity":{"storage":"3Gi"}}}`)
		step("the resizer is done")
	})
}

func TestTheVolumeIsAnothers(t *testing.T) {
	tell(t, "another", localpath.Provisioner, func(w *controllertest.World, step func(string, ...any)) {
		bind(w)
		w.Patch(volumeKey, `{"spec":{"claimRef":{"uid":"00000000-0000-4000-8000-000000000099"}}}`)
		ask(w, "2Gi")
		step("the volume was made for an older claim of the name")
		uid := controllertest.Get[*corev1.PersistentVolumeClaim](w, claimKey).UID
		w.Patch(volumeKey, `{"spec":{"capacity":{"storage":"2Gi"},"claimRef":{"uid":%q}}}`, uid)
		step("it is this one's, and large enough")
	})
}
