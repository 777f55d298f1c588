package nodefeed

import (
	"context"
	"testing"
	"testing/synctest"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
)

// TestSecretsNamedWhileBehind: a volume in use that names a secret by now gives it to its node,
// though the change itself was missed.
func TestSecretsNamedWhileBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		w.Create(controllers.Secret, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "storage", Name: "stage"}})
		v := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "v1"}}
		v.Spec.CSI = &corev1.CSIPersistentVolumeSource{Driver: "d", VolumeHandle: "h"}
		w.Create(controllers.PersistentVolume, v)
		claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "data"}}
		claim.Spec.VolumeName = "v1"
		w.Create(controllers.PersistentVolumeClaim, claim)
		w.PatchStatus(controllers.PersistentVolumeClaim.Key("a", "data"), `{"status":{"phase":"Bound"}}`)
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "p"}}
		pod.Spec.NodeName = "n1"
		pod.Spec.Volumes = []corev1.Volume{{Name: "d", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}}}}
		w.Create(controllers.Pod, pod)
		w.Settle()
		ctx, cancel := context.WithCancel(t.Context())
		out := newWriter(ctx, Options{Bus: w.Bus}, 1)
		defer out.close()
		defer cancel()
		tables := newTables(out)
		tables.all(w.Snapshot())
		secret, volume := controllers.Secret.Key("storage", "stage"), controllers.PersistentVolume.Key("", "v1")
		if tables.users[volume]["n1"] != 1 || len(tables.users[secret]) != 0 {
			t.Fatalf("the volume is used on %v, the secret on %v", tables.users[volume], tables.users[secret])
		}
		w.Patch(volume, `{"spec":{"csi":{"nodeStageSecretRef":{"namespace":"storage","name":"stage"}}}}`)
		w.Settle()
		tables.all(w.Snapshot())
		if tables.users[secret]["n1"] != 1 {
			t.Errorf("the secret is used on %v, not on n1", tables.users[secret])
		}
		w.PatchStatus(controllers.Pod.Key("a", "p"), `{"status":{"phase":"Succeeded"}}`)
		w.Delete(controllers.Pod.Key("a", "p"), "")
		w.Settle()
		tables.all(w.Snapshot())
		if len(tables.users) != 0 || len(tables.storage.secrets) != 0 {
			t.Errorf("in use are still %v, with the secrets %v", tables.users, tables.storage.secrets)
		}
	})
}
