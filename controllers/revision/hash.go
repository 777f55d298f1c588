package revision

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/utils/dump"
)

// Naming is how a kind's revisions get the hash in their name, and the label that
// holds it.
type Naming struct {
	Label string
	hash  func(t *corev1.PodTemplateSpec, data []byte, collisions *int32) string
}

// ByData is the naming of StatefulSets: the hash of the revision's data.
var ByData = Naming{Label: "controller.kubernetes.io/hash", hash: func(_ *corev1.PodTemplateSpec, data []byte, collisions *int32) string {
	h := fnv.New32()
	h.Write(data)
	n := int32(0)
	if collisions != nil {
		n = *collisions
	}
	h.Write(strconv.AppendInt(nil, int64(n), 10))
	return rand.SafeEncodeString(fmt.Sprint(h.Sum32()))
}}

// ByTemplate is the naming of DaemonSets: the hash of the pod template.
var ByTemplate = Naming{Label: appsv1.DefaultDaemonSetUniqueLabelKey, hash: func(t *corev1.PodTemplateSpec, _ []byte, collisions *int32) string {
	return TemplateHash(t, collisions)
}}

// TemplateHash is the pod-template-hash of a template: FNV-1a of its dump and
// of the number of collisions so far, in letters that a name may have.
func TemplateHash(t *corev1.PodTemplateSpec, collisions *int32) string {
	h := fnv.New32a()
	h.Write(fmt.Appendf(nil, "%v", dump.ForHash(*t)))
	if collisions != nil {
		h.Write(binary.LittleEndian.AppendUint32(make([]byte, 0, 8), uint32(*collisions)))
		h.Write(make([]byte, 4))
	}
	return rand.SafeEncodeString(fmt.Sprint(h.Sum32()))
}

// longestPrefix leaves room for a hash in the longest name that there may be.
const longestPrefix = 223

func name(parent, hash string) string {
	return parent[:min(len(parent), longestPrefix)] + "-" + hash
}
