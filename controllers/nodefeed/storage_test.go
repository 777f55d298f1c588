package nodefeed_test

import (
	"context"
	"testing"
	"testing/synctest"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/controllers/nodefeed"
	"github.com/reckon-project/reckon/events"
)

// All nodes know the CSI drivers and the trust bundles; a node its attachments, and
// the secrets that its pods' volumes name.
func TestStorage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		w.Go(func(ctx context.Context) error {
			return nodefeed.Run(ctx, nodefeed.Options{Bus: w.Bus, Projection: w.Projection, Holder: "test"})
		})
		var feed watcher
		feed.follow(w)
		driver := controllers.Kind{Group: "storage.k8s.io", Version: "v1", Kind: "CSIDriver", Resource: "csidrivers"}
		bundle := controllers.Kind{Group: "certificates.k8s.io", Version: "v1", Kind: "ClusterTrustBundle", Resource: "clustertrustbundles"}
		w.Create(controllers.Node, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}})
		feed.take(w)
		w.Create(driver, &storagev1.CSIDriver{ObjectMeta: metav1.ObjectMeta{Name: "d"}})
		want(t, "a driver", feed.take(w), "feed._.csidrivers._.d map[]")
		w.Create(bundle, &certificatesv1.ClusterTrustBundle{ObjectMeta: metav1.ObjectMeta{Name: "x:y"}})
		want(t, "a trust bundle", feed.take(w), "feed._.clustertrustbundles._.x:y map[]")
		w.Delete(driver.Key("", "d"), "")
		want(t, "the driver goes", feed.take(w), "feed._.csidrivers._.d gone")

		w.Create(controllers.VolumeAttachment, &storagev1.VolumeAttachment{ObjectMeta: metav1.ObjectMeta{Name: "a"}, Spec: storagev1.VolumeAttachmentSpec{NodeName: "n1"}})
		want(t, "an attachment", feed.take(w), "feed.n1.volumeattachments._.a map[]")
		w.PatchStatus(controllers.VolumeAttachment.Key("", "a"), `{"status":{"attached":true}}`)
		want(t, "it is attached", feed.take(w), "feed.n1.volumeattachments._.a map[]")
		w.Delete(controllers.VolumeAttachment.Key("", "a"), "")
		want(t, "it goes", feed.take(w), "feed.n1.volumeattachments._.a gone")

		secret := func(name string) {
			w.Create(controllers.Secret, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "storage", Name: name}})
		}
		secret("stage")
		secret("publish")
		secret("other")
		v := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "v1"}}
		ref := &corev1.SecretReference{Namespace: "storage", Name: "publish"}
		v.Spec.CSI = &corev1.CSIPersistentVolumeSource{Driver: "d", VolumeHandle: "h", NodePublishSecretRef: ref, NodeExpandSecretRef: ref,
			NodeStageSecretRef: &corev1.SecretReference{Namespace: "storage", Name: "stage"}}
		w.Create(controllers.PersistentVolume, v)
		claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "data"}}
		claim.Spec.VolumeName = "v1"
		w.Create(controllers.PersistentVolumeClaim, claim)
		w.PatchStatus(controllers.PersistentVolumeClaim.Key("a", "data"), `{"status":{"phase":"Bound"}}`)
		want(t, "nobody uses it", feed.take(w), "")
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "p"}}
		pod.Spec.NodeName = "n1"
		pod.Spec.Volumes = []corev1.Volume{{Name: "d", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}}}}
		w.Create(controllers.Pod, pod)
		want(t, "a pod uses it", feed.take(w), "feed.n1.persistentvolumeclaims.a.data map[]\nfeed.n1.persistentvolumes._.v1 map[]\n"+
			"feed.n1.secrets.storage.stage map[]\nfeed.n1.secrets.storage.publish map[]\nfeed.n1.pods.a.p map[]")
		w.Patch(controllers.PersistentVolume.Key("", "v1"), `{"spec":{"csi":{"nodeExpandSecretRef":{"name":"other"},"nodePublishSecretRef":null}}}`)
		want(t, "it names other secrets", feed.take(w), "feed.n1.secrets.storage.other map[]\nfeed.n1.secrets.storage.publish gone\nfeed.n1.persistentvolumes._.v1 map[]")
		w.PatchStatus(controllers.Pod.Key("a", "p"), `{"status":{"phase":"Succeeded"}}`)
		feed.take(w)
		w.Delete(controllers.Pod.Key("a", "p"), "")
		want(t, "the pod goes", feed.take(w), "feed.n1.pods.a.p gone\nfeed.n1.persistentvolumeclaims.a.data gone\nfeed.n1.persistentvolumes._.v1 gone\n"+
			"feed.n1.secrets.storage.stage gone\nfeed.n1.secrets.storage.other gone")
	})
}

// What an earlier leader put over a driver or an attachment is put right again.
func TestOverwrittenStorageComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		w.Go(func(ctx context.Context) error {
			return nodefeed.Run(ctx, nodefeed.Options{Bus: w.Bus, Projection: w.Projection, Holder: "test"})
		})
		w.Create(controllers.VolumeAttachment, &storagev1.VolumeAttachment{ObjectMeta: metav1.ObjectMeta{Name: "a"}, Spec: storagev1.VolumeAttachmentSpec{NodeName: "n1"}})
		w.Settle()
		old := events.Header{nodefeed.HeaderEpoch: {"0"}, nodefeed.HeaderPosition: {"1"}}
		if err := w.Bus.Feed().Put(t.Context(), "feed.n1.volumeattachments._.a", old, []byte(`{}`)); err != nil {
			t.Fatal(err)
		}
		w.Settle()
		for item, err := range w.Bus.Feed().Watch(t.Context(), "feed.n1.volumeattachments.>") {
			if err != nil {
				t.Fatal(err)
			}
			if item.Header[nodefeed.HeaderEpoch][0] == "0" || item.Data == nil {
				t.Errorf("the feed holds %s of epoch %s", item.Subject, item.Header[nodefeed.HeaderEpoch])
			}
			break
		}
	})
}
