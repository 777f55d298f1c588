package deployment

import (
	"bytes"
	"maps"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
)

// sameTemplate compares pod templates but for the label that holds their hash.
// It is asked of every replica set in every reconcile: what tells most templates
// apart, or is the same object, is looked at before all their fields are.
func sameTemplate(a, b *corev1.PodTemplateSpec) bool {
	if !slices.EqualFunc(a.Spec.Containers, b.Spec.Containers, func(a, b corev1.Container) bool { return a.Name == b.Name && a.Image == b.Image }) {
		return false
	}
	x, y := *a, *b
	x.Labels, y.Labels = unhashed(a.Labels), unhashed(b.Labels)
	return sameBytes(&x, &y) || apiequality.Semantic.DeepEqual(&x, &y)
}

// sameBytes compares encodings, which is many times as fast as comparing fields
// is. Templates that mean the same may differ in it: "1" and "1000m".
func sameBytes(a, b *corev1.PodTemplateSpec) bool {
	if a.Size() != b.Size() {
		return false
	}
	x, err := a.Marshal()
	if err != nil {
		return false
	}
	y, err := b.Marshal()
	return err == nil && bytes.Equal(x, y)
}

// unhashed are a template's labels but for that of its hash.
func unhashed(labels map[string]string) map[string]string {
	if _, ok := labels[appsv1.DefaultDeploymentUniqueLabelKey]; !ok {
		return labels
	}
	labels = maps.Clone(labels)
	delete(labels, appsv1.DefaultDeploymentUniqueLabelKey)
	return labels
}
