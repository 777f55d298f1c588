package volumebinding_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/controllers/volumebinding"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

func volume(name, size, class string, change ...func(*corev1.PersistentVolume)) *corev1.PersistentVolume {
	v := &corev1.PersistentVolume{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "PersistentVolume"},
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(size)},
			AccessModes:                   []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
			StorageClassName:              class,
		},
	}
	v.Spec.HostPath = &corev1.HostPathVolumeSource{Path: "/data/" + name}
	for _, f := range change {
		f(v)
	}
	return v
}

func claim(name, size string, class *string, change ...func(*corev1.PersistentVolumeClaim)) *corev1.PersistentVolumeClaim {
	c := &corev1.PersistentVolumeClaim{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "PersistentVolumeClaim"},
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes:      []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources:        corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(size)}},
			StorageClassName: class,
		},
	}
	for _, f := range change {
		f(c)
	}
	return c
}

func class(name, provisioner string, mode storagev1.VolumeBindingMode, annotations map[string]string) *storagev1.StorageClass {
	return &storagev1.StorageClass{
		TypeMeta:   metav1.TypeMeta{APIVersion: "storage.k8s.io/v1", Kind: "StorageClass"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: annotations}, Provisioner: provisioner, VolumeBindingMode: &mode,
	}
}

func claimKey(name string) events.Key  { return controllers.PersistentVolumeClaim.Key("default", name) }
func volumeKey(name string) events.Key { return controllers.PersistentVolume.Key("", name) }
func text(s string) *string            { return &s }

// story writes down the events and where claims and volumes stand.
type story struct {
	w *controllertest.World
	*controllertest.Transcript
}

func tell(t *testing.T, name string, play func(w *controllertest.World, s story)) {
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		w.Run(volumebinding.New())
		s := story{w, controllertest.NewTranscript(w, name)}
		play(w, s)
		s.Done()
	})
}

// make creates an object and waits for what comes of it: the controller looks at
// several at once, in any order.
func (s story) make(kind controllers.Kind, obj runtime.Object) {
	s.w.Create(kind, obj)
	s.w.Settle()
}

func (s story) step(format string, args ...any) {
	s.Step(format, args...)
	var b strings.Builder
	snapshot := s.w.Snapshot()
	for c := range projections.List[*corev1.PersistentVolumeClaim](snapshot, "", "persistentvolumeclaims", "") {
		size := c.Status.Capacity[corev1.ResourceStorage]
		fmt.Fprintf(&b, "claim %s: %s volume=%q capacity=%s\n", c.Name, c.Status.Phase, c.Spec.VolumeName, size.String())
	}
	for v := range projections.List[*corev1.PersistentVolume](snapshot, "", "persistentvolumes", "") {
		to := ""
		if r := v.Spec.ClaimRef; r != nil {
			to = r.Name
		}
		fmt.Fprintf(&b, "volume %s: %s claim=%q %s\n", v.Name, v.Status.Phase, to, v.Status.Message)
	}
	s.Say("state", b.String())
}

func TestStatic(t *testing.T) {
	tell(t, "static", func(w *controllertest.World, s story) {
		s.make(controllers.PersistentVolume, volume("large", "10Gi", ""))
		s.make(controllers.PersistentVolume, volume("small", "2Gi", ""))
		s.make(controllers.PersistentVolume, volume("fast", "2Gi", "ssd", func(v *corev1.PersistentVolume) { v.Labels = map[string]string{"tier": "gold"} }))
		s.step("three volumes")
		s.make(controllers.PersistentVolumeClaim, claim("one", "1Gi", text("")))
		s.step("a claim gets the smallest that fits")
		s.make(controllers.PersistentVolumeClaim, claim("picky", "1Gi", text("ssd"), func(c *corev1.PersistentVolumeClaim) {
			c.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"tier": "silver"}}
		}))
		s.step("a selector that no volume matches, and a class that there isn't")
		s.make(controllers.PersistentVolumeClaim, claim("shared", "1Gi", text(""), func(c *corev1.PersistentVolumeClaim) {
			c.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany}
		}))
		s.step("an access mode that no volume has")
		s.make(controllers.PersistentVolumeClaim, claim("named", "20Gi", text(""), func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = "large" }))
		s.step("a claim names a volume that is too small")
		w.Delete(claimKey("one"), "")
		s.step("a claim is deleted: its volume is kept")
		w.Patch(volumeKey("small"), `{"spec":{"claimRef":null}}`)
		s.step("and is used again by who frees it")
		s.make(controllers.PersistentVolumeClaim, claim("two", "1Gi", text("")))
		s.step("by another claim")
		w.Delete(volumeKey("small"), "")
		s.step("a bound volume is deleted")
	})
}

func TestPrebound(t *testing.T) {
	tell(t, "prebound", func(w *controllertest.World, s story) {
		s.make(controllers.PersistentVolume, volume("reserved", "1Gi", "", func(v *corev1.PersistentVolume) {
			v.Spec.ClaimRef = &corev1.ObjectReference{Kind: "PersistentVolumeClaim", Namespace: "default", Name: "mine"}
		}))
		s.make(controllers.PersistentVolumeClaim, claim("other", "1Gi", text("")))
		s.step("a volume is kept for a claim: another one doesn't get it")
		s.make(controllers.PersistentVolumeClaim, claim("mine", "1Gi", text("")))
		s.step("the claim comes")
		s.make(controllers.PersistentVolumeClaim, claim("late", "1Gi", text(""), func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = "reserved" }))
		s.step("a claim names a volume that has one")
		s.make(controllers.PersistentVolumeClaim, claim("early", "1Gi", text(""), func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = "later" }))
		s.step("a claim names a volume that isn't there yet")
		w.Delete(claimKey("other"), "")
		w.Settle()
		s.make(controllers.PersistentVolume, volume("later", "1Gi", ""))
		s.step("it comes")
	})
}

func TestDynamic(t *testing.T) {
	tell(t, "dynamic", func(w *controllertest.World, s story) {
		s.make(controllers.PersistentVolumeClaim, claim("before", "1Gi", nil))
		s.step("a claim without a class, and no default")
		s.make(controllers.StorageClass, class("disk", "disk.example.com", storagev1.VolumeBindingImmediate, map[string]string{"storageclass.kubernetes.io/is-default-class": "true"}))
		s.step("a default class comes")
		w.Go(func(ctx context.Context) error { return provision(ctx, w, "disk.example.com") })
		s.step("its provisioner comes")
		s.make(controllers.PersistentVolumeClaim, claim("old", "1Gi", text("legacy")))
		s.make(controllers.StorageClass, class("legacy", "kubernetes.io/no-provisioner", storagev1.VolumeBindingImmediate, nil))
		s.step("a class that nothing is made for")
		w.Delete(claimKey("before"), "")
		s.step("the claim is deleted: its provisioner deletes the volume")
	})
}

func TestWaitForFirstConsumer(t *testing.T) {
	tell(t, "consumer", func(w *controllertest.World, s story) {
		s.make(controllers.StorageClass, class("local", "disk.example.com", storagev1.VolumeBindingWaitForFirstConsumer, nil))
		s.make(controllers.PersistentVolume, volume("free", "1Gi", "local"))
		w.Go(func(ctx context.Context) error { return provision(ctx, w, "disk.example.com") })
		s.make(controllers.PersistentVolumeClaim, claim("data", "1Gi", text("local")))
		s.make(controllers.PersistentVolumeClaim, claim("more", "1Gi", text("local")))
		s.step("claims wait, though a volume would fit")
		w.Patch(claimKey("data"), `{"metadata":{"annotations":{"volume.kubernetes.io/selected-node":"n1"}}}`)
		s.step("the scheduler selects a node for one")
		uid := controllertest.Get[*corev1.PersistentVolumeClaim](w, claimKey("more")).UID
		w.Patch(volumeKey("free"), `{"spec":{"claimRef":{"kind":"PersistentVolumeClaim","namespace":"default","name":"more","uid":%q}}}`, uid)
		s.step("and a volume for the other")
	})
}

func TestReclaimByNobody(t *testing.T) {
	tell(t, "reclaim", func(w *controllertest.World, s story) {
		for _, policy := range []corev1.PersistentVolumeReclaimPolicy{corev1.PersistentVolumeReclaimDelete, corev1.PersistentVolumeReclaimRecycle} {
			s.make(controllers.PersistentVolume, volume("v", "1Gi", "", func(v *corev1.PersistentVolume) { v.Spec.PersistentVolumeReclaimPolicy = policy }))
			s.make(controllers.PersistentVolumeClaim, claim("c", "1Gi", text("")))
			w.Settle()
			w.Delete(claimKey("c"), "")
			s.step("policy %s", policy)
			w.Delete(volumeKey("v"), "")
			w.Settle()
		}
	})
}

// provision does what an external provisioner does: it watches claims with its
// name on them, makes volumes that name the claim, and deletes released ones.
func provision(ctx context.Context, w *controllertest.World, name string) error {
	api := w.API.Intake("provisioner")
	own := func(s *projections.Snapshot, o *events.Object) error {
		switch v := o.Value.(type) {
		case *corev1.PersistentVolumeClaim:
			made := "pvc-" + string(v.UID)
			sc, ok := projections.Get[*storagev1.StorageClass](s, controllers.StorageClass.Key("", *v.Spec.StorageClassName))
			if v.Annotations["volume.kubernetes.io/storage-provisioner"] != name || v.Spec.VolumeName != "" || !ok || s.Get(volumeKey(made)).Exists() {
				return nil
			}
			if *sc.VolumeBindingMode == storagev1.VolumeBindingWaitForFirstConsumer && v.Annotations["volume.kubernetes.io/selected-node"] == "" {
				return nil
			}
			size := v.Spec.Resources.Requests[corev1.ResourceStorage]
			pv := volume(made, size.String(), sc.Name, func(pv *corev1.PersistentVolume) {
				pv.Annotations = map[string]string{"pv.kubernetes.io/provisioned-by": name}
				pv.Spec.PersistentVolumeReclaimPolicy = corev1.PersistentVolumeReclaimDelete
				pv.Spec.ClaimRef = &corev1.ObjectReference{Kind: "PersistentVolumeClaim", APIVersion: "v1", Namespace: v.Namespace, Name: v.Name, UID: v.UID}
			})
			return send(ctx, api, "POST", "/api/v1/persistentvolumes", pv)
		case *corev1.PersistentVolume:
			if v.Annotations["pv.kubernetes.io/provisioned-by"] == name && v.Status.Phase == corev1.VolumeReleased {
				return send(ctx, api, "DELETE", "/api/v1/persistentvolumes/"+v.Name, nil)
			}
		}
		return nil
	}
	s := w.Snapshot()
	for _, kind := range []controllers.Kind{controllers.PersistentVolumeClaim, controllers.PersistentVolume} {
		for o := range s.List("", kind.Resource, "") {
			if err := own(s, o); err != nil {
				return err
			}
		}
	}
	for changes, err := range w.Projection.Changes(ctx, s.Position()) {
		if err != nil {
			return err
		}
		for _, c := range changes {
			if c.New.Exists() {
				if err := own(w.Snapshot(), c.New); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
