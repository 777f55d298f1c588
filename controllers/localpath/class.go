package localpath

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// ClassAccount is the account that makes the class; Kubernetes has no role for that.
const ClassAccount = "local-path-class"

const (
	annMade    = "reckon.dev/local-path"
	annDefault = "storageclass.kubernetes.io/is-default-class"
)

// NewClass makes the controller that makes the class.
func NewClass() *controllers.Controller {
	home := controllers.Namespace.Key("", metav1.NamespaceSystem)
	return controllers.New(ClassAccount).
		Watches("", "namespaces", func(_ *projections.Snapshot, c projections.Change, add func(events.Key)) {
			if c.New.Exists() && c.New.Key == home {
				add(home)
			}
		}).
		Watches("storage.k8s.io", "storageclasses", func(_ *projections.Snapshot, c projections.Change, add func(events.Key)) {
			if controllers.KeyOf(c).Name == ClassName {
				add(home)
			}
		}).
		Workers(1).
		Reconcile(ensureClass)
}

func ensureClass(_ context.Context, s *projections.Snapshot, home events.Key) (controllers.Result, error) {
	o := s.Get(home)
	if !o.Exists() || o.Meta().GetDeletionTimestamp() != nil || o.Meta().GetAnnotations()[annMade] != "" {
		return controllers.Result{}, nil
	}
	key := controllers.StorageClass.Key("", ClassName)
	if !s.Get(key).Exists() && s.Decision(key) == 0 {
		return controllers.Do(controllers.Create(controllers.StorageClass, newClass(s))), nil
	}
	return controllers.Do(controllers.MergePatch(o, []byte(`{"metadata":{"annotations":{"`+annMade+`":"made"}}}`))), nil
}

func newClass(s *projections.Snapshot) *storagev1.StorageClass {
	policy, mode, grows := corev1.PersistentVolumeReclaimDelete, storagev1.VolumeBindingWaitForFirstConsumer, true
	class := &storagev1.StorageClass{
		TypeMeta:    metav1.TypeMeta{APIVersion: "storage.k8s.io/v1", Kind: "StorageClass"},
		ObjectMeta:  metav1.ObjectMeta{Name: ClassName, Annotations: map[string]string{annDefault: "true"}},
		Provisioner: Provisioner, ReclaimPolicy: &policy, VolumeBindingMode: &mode, AllowVolumeExpansion: &grows,
	}
	for other := range projections.List[*storagev1.StorageClass](s, "storage.k8s.io", "storageclasses", "") {
		if other.Annotations[annDefault] == "true" {
			class.Annotations = nil
		}
	}
	return class
}
