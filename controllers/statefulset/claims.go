package statefulset

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
)

func claimName(set *appsv1.StatefulSet, template *corev1.PersistentVolumeClaim, ordinal int) string {
	return template.Name + "-" + set.Name + "-" + strconv.Itoa(ordinal)
}

// withClaims are a pod's volumes with one for each claim; a volume of the template
// with a claim's name gives way.
func withClaims(set *appsv1.StatefulSet, ordinal int, own []corev1.Volume) []corev1.Volume {
	var volumes []corev1.Volume
	for i := range set.Spec.VolumeClaimTemplates {
		t := &set.Spec.VolumeClaimTemplates[i]
		volumes = append(volumes, corev1.Volume{Name: t.Name, VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claimName(set, t, ordinal)},
		}})
	}
	claims := len(volumes)
	for _, v := range own {
		if !slices.ContainsFunc(volumes[:claims], func(c corev1.Volume) bool { return c.Name == v.Name }) {
			volumes = append(volumes, v)
		}
	}
	return volumes
}

// newClaim is the claim of an ordinal that a template asks for.
func newClaim(set *appsv1.StatefulSet, template *corev1.PersistentVolumeClaim, ordinal int) *corev1.PersistentVolumeClaim {
	claim := template.DeepCopy()
	claim.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "PersistentVolumeClaim"}
	claim.Namespace, claim.Name = set.Namespace, claimName(set, template, ordinal)
	if claim.Labels == nil {
		claim.Labels = map[string]string{}
	}
	maps.Copy(claim.Labels, set.Spec.Selector.MatchLabels)
	if deletes(set).withSet {
		claim.OwnerReferences = append(claim.OwnerReferences, controllers.StatefulSet.Ref(set))
	}
	return claim
}

// deletions say when claims are deleted.
type deletions struct{ withSet, whenScaled bool }

func deletes(set *appsv1.StatefulSet) deletions {
	p := set.Spec.PersistentVolumeClaimRetentionPolicy
	if p == nil {
		return deletions{}
	}
	const yes = appsv1.DeletePersistentVolumeClaimRetentionPolicyType
	return deletions{withSet: p.WhenDeleted == yes, whenScaled: p.WhenScaled == yes}
}

func (p *pass) claim(template *corev1.PersistentVolumeClaim, ordinal int) (*corev1.PersistentVolumeClaim, bool) {
	o := p.s.Get(controllers.PersistentVolumeClaim.Key(p.set.Namespace, claimName(p.set, template, ordinal)))
	if !o.Exists() {
		return nil, false
	}
	claim, ok := o.Value.(*corev1.PersistentVolumeClaim)
	return claim, ok
}

// makeClaims makes the claims of an ordinal that are missing. It reports whether
// all are there to stay, so that a pod may have them.
func (p *pass) makeClaims(ordinal int) bool {
	all := true
	for i := range p.set.Spec.VolumeClaimTemplates {
		t := &p.set.Spec.VolumeClaimTemplates[i]
		claim, ok := p.claim(t, ordinal)
		switch {
		case !ok:
			all = false
			c := newClaim(p.set, t, ordinal)
			p.do(controllers.Create(controllers.PersistentVolumeClaim, c).
				Because("SuccessfulCreate", "Create Claim %s Pod %s in StatefulSet %s success", c.Name, podName(p.set, ordinal), p.set.Name))
		case claim.DeletionTimestamp != nil:
			all = false
			p.failed("FailedCreate", "Create Pod %s in StatefulSet %s failed error: pvc %s is being deleted", podName(p.set, ordinal), p.set.Name, claim.Name)
		}
	}
	return all
}

// podOf is the pod that a claim of this name is for.
func (p *pass) podOf(claim string) string {
	return claim[max(0, strings.LastIndex(claim, p.set.Name+"-")):]
}

// leftBehind reports whether a claim of the ordinal belongs to an earlier pod and
// is deleted with it: a pod that comes back waits for a claim of its own.
func (p *pass) leftBehind(ordinal int) bool {
	if !deletes(p.set).whenScaled {
		return false
	}
	pod := podName(p.set, ordinal)
	for i := range p.set.Spec.VolumeClaimTemplates {
		claim, ok := p.claim(&p.set.Spec.VolumeClaimTemplates[i], ordinal)
		if ok && slices.ContainsFunc(claim.OwnerReferences, func(r metav1.OwnerReference) bool { return names(r, controllers.Pod, pod) }) {
			return true
		}
	}
	return false
}

// keepClaims gives the claims of a pod the owners that the retention policy asks
// for: the set if they're to be deleted with it, the pod once that is to go.
func (p *pass) keepClaims(r *replica, condemned bool) (kept bool) {
	kept = true
	for i := range p.set.Spec.VolumeClaimTemplates {
		t := &p.set.Spec.VolumeClaimTemplates[i]
		claim, ok := p.claim(t, r.ordinal)
		if !ok {
			continue
		}
		if conflicting(claim, p.set, r.pod) {
			p.failed("ConflictingController", "PersistentVolumeClaim %s has a conflicting OwnerReference that acts as a manging controller, the retention policy is ignored for this claim", claim.Name)
		}
		if refs, changed := owners(claim, p.set, r.pod, condemned); changed {
			kept = false
			updated := claim.DeepCopy()
			updated.OwnerReferences = refs
			p.do(controllers.Update(p.s.Get(controllers.PersistentVolumeClaim.Key(claim.Namespace, claim.Name)), updated))
		}
	}
	return kept
}

// owners are the owner references that a claim ought to have, and whether they
// differ from those it has. A claim that names an earlier set or pod of these names
// is left alone, and one that somebody else controls isn't taken over.
func owners(claim *corev1.PersistentVolumeClaim, set *appsv1.StatefulSet, pod *corev1.Pod, condemned bool) ([]metav1.OwnerReference, bool) {
	policy := deletes(set)
	bySet, byPod, others, loose := false, false, false, false
	var rest []metav1.OwnerReference
	for _, r := range claim.OwnerReferences {
		ofSet, ofPod := names(r, controllers.StatefulSet, set.Name), names(r, controllers.Pod, pod.Name)
		controls := r.Controller != nil && *r.Controller
		switch {
		case ofSet && r.UID != set.UID, ofPod && r.UID != pod.UID:
			return nil, false
		case ofSet:
			bySet, loose = true, loose || !controls
		case ofPod:
			byPod, loose = true, loose || !controls
		default:
			rest = append(rest, r)
			others = others || controls
		}
	}
	if others && (policy.withSet || policy.whenScaled) {
		return rest, bySet || byPod
	}
	wantPod := policy.whenScaled && condemned
	wantSet := policy.withSet && !wantPod
	if bySet == wantSet && byPod == wantPod && !loose {
		return nil, false
	}
	if wantSet {
		rest = append(rest, controllers.StatefulSet.Ref(set))
	}
	if wantPod {
		rest = append(rest, controllers.Pod.Ref(pod))
	}
	return rest, true
}

// conflicting reports a claim that somebody else controls, or that belongs to an
// earlier set or pod of these names: the retention policy can't be kept for it.
func conflicting(claim *corev1.PersistentVolumeClaim, set *appsv1.StatefulSet, pod *corev1.Pod) bool {
	if policy := deletes(set); !policy.withSet && !policy.whenScaled {
		return false
	}
	return slices.ContainsFunc(claim.OwnerReferences, func(r metav1.OwnerReference) bool {
		switch {
		case names(r, controllers.StatefulSet, set.Name):
			return r.UID != set.UID
		case names(r, controllers.Pod, pod.Name):
			return r.UID != pod.UID
		}
		return r.Controller != nil && *r.Controller
	})
}

func names(r metav1.OwnerReference, kind controllers.Kind, name string) bool {
	return r.APIVersion == kind.APIVersion() && r.Kind == kind.Kind && r.Name == name
}
