package nodefeed_test

import (
	"context"
	"testing"
	"testing/synctest"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/controllers/localpath"
	"github.com/reckon-project/reckon/controllers/nodefeed"
)

// A node gets the claim of its pod and the volume behind it, nobody else's, and
// later the volume whose folder it is to remove.
func TestVolumes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		w.Go(func(ctx context.Context) error {
			return nodefeed.Run(ctx, nodefeed.Options{Bus: w.Bus, Projection: w.Projection, Holder: "test"})
		})
		var feed watcher
		feed.follow(w)
		for _, node := range []string{"n1", "n2"} {
			w.Create(controllers.Node, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node}})
		}
		claim, volume := controllers.PersistentVolumeClaim.Key("a", "data"), controllers.PersistentVolume.Key("", "v1")
		w.Create(controllers.PersistentVolumeClaim, &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "data"}})
		v := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "v1", Finalizers: []string{"external-provisioner.volume.kubernetes.io/finalizer"},
			Annotations: map[string]string{"pv.kubernetes.io/provisioned-by": localpath.Provisioner, localpath.AnnNode: "n2"}}}
		v.Spec.PersistentVolumeReclaimPolicy = corev1.PersistentVolumeReclaimDelete
		v.Status.Phase = corev1.VolumeBound
		w.Create(controllers.PersistentVolume, v)
		feed.take(w)

		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "p"}}
		pod.Spec.NodeName = "n1"
		pod.Spec.Volumes = []corev1.Volume{{Name: "d", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}}}}
		w.Create(controllers.Pod, pod)
		want(t, "a pod with a claim", feed.take(w), "feed.n1.persistentvolumeclaims.a.data map[]\nfeed.n1.pods.a.p map[]")
		w.Patch(claim, `{"spec":{"volumeName":"v1"},"status":{"phase":"Bound"}}`)
		want(t, "the claim is bound", feed.take(w), "feed.n1.persistentvolumes._.v1 map[]\nfeed.n1.persistentvolumeclaims.a.data map[]")
		w.Patch(volume, `{"metadata":{"labels":{"a":"b"}}}`)
		want(t, "the volume changes", feed.take(w), "feed.n1.persistentvolumes._.v1 map[]")
		w.PatchStatus(controllers.Pod.Key("a", "p"), `{"status":{"phase":"Succeeded"}}`)
		feed.take(w)
		w.Delete(controllers.Pod.Key("a", "p"), "")
		want(t, "the pod goes", feed.take(w), "feed.n1.pods.a.p gone\nfeed.n1.persistentvolumeclaims.a.data gone\nfeed.n1.persistentvolumes._.v1 gone")

		w.Delete(volume, "")
		want(t, "the volume is deleted, but Bound", feed.take(w), "")
		w.PatchStatus(volume, `{"status":{"phase":"Released"}}`)
		want(t, "it is released", feed.take(w), "feed.n2.persistentvolumes._.v1 map[]")
		w.Patch(volume, `{"metadata":{"finalizers":["example.com/other"]}}`)
		want(t, "its folder is gone, and nobody waits for the node", feed.take(w), "feed.n2.persistentvolumes._.v1 gone")
	})
}
