package scheduler

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/dynamic-resource-allocation/resourceclaim"

	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// madeUID begins the uids of the claims that a try makes.
const madeUID = "try-"

// withClaims gives a pod that isn't there the resource claims that its templates would make, in
// the view only.
func (c *cluster) withClaims(s *projections.Snapshot, pod *corev1.Pod) *corev1.Pod {
	out := pod
	for i := range pod.Spec.ResourceClaims {
		r := &pod.Spec.ResourceClaims[i]
		if _, _, err := resourceclaim.Name(pod, r); err == nil || r.ResourceClaimTemplateName == nil {
			continue
		}
		template, ok := projections.Get[*resourcev1.ResourceClaimTemplate](s, events.Key{
			Group: resourcev1.GroupName, Resource: "resourceclaimtemplates", Namespace: pod.Namespace, Name: *r.ResourceClaimTemplateName,
		})
		if !ok {
			continue
		}
		if out == pod {
			out = pod.DeepCopy()
		}
		name, yes := pod.Name+"-"+r.Name, true
		claim := &resourcev1.ResourceClaim{Spec: template.Spec.Spec, ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: pod.Namespace, UID: types.UID(madeUID + r.Name),
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID, Controller: &yes}},
		}}
		c.setResourceClaim(claimKey(claim), claim)
		out.Status.ResourceClaimStatuses = append(out.Status.ResourceClaimStatuses, corev1.PodResourceClaimStatus{Name: r.Name, ResourceClaimName: &name})
	}
	return out
}

// takeTried has the nth pod of a try take its devices on a node. Claims made from templates are each
// pod's own, the others all share.
func (c *cluster) takeTried(pod *corev1.Pod, cl *class, n *node, nth int) {
	w := c.devices.wantedBy(pod)
	if w == nil || len(w.open) == 0 || cl.wanted == nil || len(cl.wanted.open) != len(w.open) {
		return
	}
	results := cl.wanted.allocate(n).results
	if len(results) != len(w.open) {
		return
	}
	for i, claim := range w.open {
		uid := claim.UID
		if len(uid) > len(madeUID) && uid[:len(madeUID)] == madeUID {
			uid += types.UID("-" + strconv.Itoa(nth))
		}
		c.give(uid, results[i].DeepCopy())
	}
}
