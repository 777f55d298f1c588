package ephemeralvolume_test

import (
	"testing"
	"testing/synctest"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/controllers/ephemeralvolume"
)

func TestClaimsOfPods(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		w.Run(ephemeralvolume.New())
		pod := func(name string) *corev1.Pod {
			p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}
			p.Spec.Volumes = []corev1.Volume{{Name: "scratch", VolumeSource: corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{
				VolumeClaimTemplate: &corev1.PersistentVolumeClaimTemplate{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": name}}},
			}}}}
			return p
		}
		script := controllertest.NewTranscript(w, "claims")
		w.Create(controllers.Pod, pod("web"))
		script.Step("a pod with an ephemeral volume")
		c := controllertest.Get[*corev1.PersistentVolumeClaim](w, controllers.PersistentVolumeClaim.Key("default", "web-scratch"))
		owner := controllertest.Get[*corev1.Pod](w, controllers.Pod.Key("default", "web"))
		if !metav1.IsControlledBy(c, owner) || c.Labels["app"] != "web" {
			t.Errorf("the claim isn't the pod's: %v, labels %v", c.OwnerReferences, c.Labels)
		}
		w.Delete(controllers.PersistentVolumeClaim.Key("default", "web-scratch"), "")
		script.Step("somebody deletes its claim")
		w.Create(controllers.PersistentVolumeClaim, &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "db-scratch"}})
		w.Create(controllers.Pod, pod("db"))
		script.Step("a claim of the name is there, and not the pod's")
		w.Delete(controllers.PersistentVolumeClaim.Key("default", "db-scratch"), "")
		script.Step("it goes")
		script.Done()
	})
}
