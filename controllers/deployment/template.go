package deployment

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"maps"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/utils/dump"
)

// sameTemplate compares pod templates but for the label that holds their hash.
func sameTemplate(a, b *corev1.PodTemplateSpec) bool {
	x, y := *a, *b
	x.Labels, y.Labels = maps.Clone(a.Labels), maps.Clone(b.Labels)
	delete(x.Labels, appsv1.DefaultDeploymentUniqueLabelKey)
	delete(y.Labels, appsv1.DefaultDeploymentUniqueLabelKey)
	return apiequality.Semantic.DeepEqual(x, y)
}

// templateHash is the pod-template-hash of a template: FNV-1a of its dump and
// of the number of collisions so far, in letters that a name may have.
func templateHash(t *corev1.PodTemplateSpec, collisions *int32) string {
	h := fnv.New32a()
	h.Write(fmt.Appendf(nil, "%v", dump.ForHash(*t)))
	if collisions != nil {
		h.Write(binary.LittleEndian.AppendUint32(make([]byte, 0, 8), uint32(*collisions)))
		h.Write(make([]byte, 4))
	}
	return rand.SafeEncodeString(fmt.Sprint(h.Sum32()))
}
