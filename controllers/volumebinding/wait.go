package volumebinding

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
)

// annTold is the reason that a claim's users were told last: a pure decision has
// no other memory, and nobody wants to be told at each look.
const annTold = "reckon.dev/told"

// wait has a claim stay Pending, and says why unless that was said.
func wait(o *events.Object, claim *corev1.PersistentVolumeClaim, reason, note string) []controllers.Intent {
	pending := claim.Status.Phase == corev1.ClaimPending && claim.Status.Capacity == nil && claim.Status.AccessModes == nil
	if pending && claim.Annotations[annTold] == reason {
		return nil
	}
	changed := claim.DeepCopy()
	changed.Status.Phase, changed.Status.Capacity, changed.Status.AccessModes = corev1.ClaimPending, nil, nil
	changed.Status.CurrentVolumeAttributesClassName = nil
	if reason == "" {
		delete(changed.Annotations, annTold)
	} else {
		annotate(changed, annTold, reason)
	}
	i := controllers.Progressed(o, changed)
	if reason != "" {
		i = i.Because(reason, "%s", note)
	}
	return []controllers.Intent{i}
}

func annotate(m metav1.Object, name, value string) {
	a := m.GetAnnotations()
	if a == nil {
		a = map[string]string{}
		m.SetAnnotations(a)
	}
	a[name] = value
}
