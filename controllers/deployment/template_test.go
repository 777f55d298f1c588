package deployment

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestSameTemplate: what means the same is the same however it is written, and
// the hash isn't looked at.
func TestSameTemplate(t *testing.T) {
	template := func(change func(*corev1.PodTemplateSpec)) *corev1.PodTemplateSpec {
		p := &corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web", "tier": "front"}},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{
				Name: "c", Image: "i", Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1")}},
			}}},
		}
		if change != nil {
			change(p)
		}
		return p
	}
	for name, c := range map[string]struct {
		change func(*corev1.PodTemplateSpec)
		same   bool
	}{
		"nothing":  {nil, true},
		"the hash": {func(p *corev1.PodTemplateSpec) { p.Labels["pod-template-hash"] = "x" }, true},
		"another notation": {func(p *corev1.PodTemplateSpec) {
			p.Spec.Containers[0].Resources.Requests["cpu"] = resource.MustParse("1000m")
		}, true},
		"an empty list":    {func(p *corev1.PodTemplateSpec) { p.Spec.Volumes = []corev1.Volume{} }, true},
		"a label":          {func(p *corev1.PodTemplateSpec) { p.Labels["tier"] = "front2" }, false},
		"a label's letter": {func(p *corev1.PodTemplateSpec) { p.Labels["tier"] = "Front" }, false},
		"an amount": {func(p *corev1.PodTemplateSpec) {
			p.Spec.Containers[0].Resources.Requests["cpu"] = resource.MustParse("2")
		}, false},
		"an image":            {func(p *corev1.PodTemplateSpec) { p.Spec.Containers[0].Image = "j" }, false},
		"a pointer to a zero": {func(p *corev1.PodTemplateSpec) { p.Spec.TerminationGracePeriodSeconds = new(int64) }, false},
	} {
		if got := sameTemplate(template(nil), template(c.change)); got != c.same {
			t.Errorf("%s: the same? %v", name, got)
		}
	}
}
