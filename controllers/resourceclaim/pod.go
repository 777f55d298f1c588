package resourceclaim

import (
	"context"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

const account = "resource-claim-controller"

// NewPods makes the controller of what pods claim.
func NewPods() *controllers.Controller {
	return controllers.New("pod-resource-claim-controller").As(account).
		Watches("", "pods", func(_ *projections.Snapshot, c projections.Change, add func(events.Key)) {
			if pod := podOf(c.New); pod != nil && len(pod.Spec.ResourceClaims) > 0 && !sameClaims(podOf(c.Old), pod) {
				add(c.New.Key)
			}
		}).
		Watches("resource.k8s.io", "resourceclaims", func(_ *projections.Snapshot, c projections.Change, add func(events.Key)) {
			for _, o := range []*events.Object{c.Old, c.New} {
				if key, _, ok := controllers.Pod.ControllerOf(o); ok {
					add(key)
				}
			}
		}).
		Watches("resource.k8s.io", "resourceclaimtemplates", func(s *projections.Snapshot, c projections.Change, add func(events.Key)) {
			if c.Event == nil || c.New == nil {
				return // pods come by as well
			}
			for pod := range projections.List[*corev1.Pod](s, "", "pods", c.New.Key.Namespace) {
				for i := range pod.Spec.ResourceClaims {
					if t := pod.Spec.ResourceClaims[i].ResourceClaimTemplateName; t != nil && *t == c.New.Key.Name {
						add(controllers.Pod.Key(pod.Namespace, pod.Name))
					}
				}
			}
		}).
		Writes(events.Progressed).
		Reconcile(reconcilePod)
}

// sameClaims reports that nothing changed of a pod that its claims depend on.
func sameClaims(old, pod *corev1.Pod) bool {
	return old != nil && old.UID == pod.UID && old.Spec.NodeName == pod.Spec.NodeName && done(old) == done(pod) &&
		(old.DeletionTimestamp == nil) == (pod.DeletionTimestamp == nil) &&
		apiequality.Semantic.DeepEqual(old.Status.ResourceClaimStatuses, pod.Status.ResourceClaimStatuses)
}

func podOf(o *events.Object) *corev1.Pod {
	if !o.Exists() {
		return nil
	}
	pod, _ := o.Value.(*corev1.Pod)
	return pod
}

func claimOf(o *events.Object) *resourcev1.ResourceClaim {
	if !o.Exists() {
		return nil
	}
	claim, _ := o.Value.(*resourcev1.ResourceClaim)
	return claim
}

func reconcilePod(_ context.Context, s *projections.Snapshot, key events.Key) (controllers.Result, error) {
	o := s.Get(key)
	pod := podOf(o)
	if pod == nil || pod.DeletionTimestamp != nil || done(pod) {
		return controllers.Result{}, nil
	}
	var result controllers.Result
	names := map[string]string{}
	for _, status := range pod.Status.ResourceClaimStatuses {
		if status.ResourceClaimName != nil {
			names[status.Name] = *status.ResourceClaimName
		}
	}
	before := maps.Clone(names)
	var missing *corev1.PodResourceClaim // an entry without its template
	for i := range pod.Spec.ResourceClaims {
		entry := &pod.Spec.ResourceClaims[i]
		if entry.ResourceClaimTemplateName == nil || unneeded(pod, entry.Name) {
			continue
		}
		if claim := claimOf(s.Get(controllers.ResourceClaim.Key(pod.Namespace, names[entry.Name]))); claim != nil && metav1.IsControlledBy(claim, pod) {
			continue
		}
		if claim := made(s, pod, entry.Name); claim != nil {
			names[entry.Name] = claim.Name
			continue
		}
		template, ok := projections.Get[*resourcev1.ResourceClaimTemplate](s, controllers.ResourceClaimTemplate.Key(pod.Namespace, *entry.ResourceClaimTemplateName))
		if !ok {
			missing = entry
			continue
		}
		result.Intents = append(result.Intents, controllers.Create(controllers.ResourceClaim, fromTemplate(s, pod, entry.Name, template)))
	}
	if !maps.Equal(before, names) {
		changed := pod.DeepCopy()
		changed.Status.ResourceClaimStatuses = statuses(pod, names)
		result.Intents = append(result.Intents, controllers.Progressed(o, changed))
	}
	if pod.Spec.NodeName != "" {
		result.Intents = append(result.Intents, reserve(s, pod, names)...)
	}
	if missing != nil && len(result.Intents) == 0 {
		result.Intents = append(result.Intents, controllers.Progressed(o, pod).Because("FailedResourceClaimCreation",
			"PodResourceClaim %s: resource claim template %q: resourceclaimtemplate.resource.k8s.io %[2]q not found", missing.Name, *missing.ResourceClaimTemplateName))
	}
	return result, nil
}

// unneeded reports an entry of which it is known that it needs no claim.
func unneeded(pod *corev1.Pod, name string) bool {
	return slices.ContainsFunc(pod.Status.ResourceClaimStatuses, func(s corev1.PodResourceClaimStatus) bool {
		return s.Name == name && s.ResourceClaimName == nil
	})
}

// made is a claim that was made for an entry before its name was noted.
func made(s *projections.Snapshot, pod *corev1.Pod, entry string) *resourcev1.ResourceClaim {
	for o := range s.OwnedBy("resource.k8s.io", "resourceclaims", string(pod.UID)) {
		claim := claimOf(o)
		if claim != nil && metav1.IsControlledBy(claim, pod) && claim.Annotations[resourcev1.PodResourceClaimAnnotation] == entry && claim.DeletionTimestamp == nil {
			return claim
		}
	}
	return nil
}

// longestBase leaves room for a dash and five characters in a name of 63.
const longestBase = 57

func fromTemplate(s *projections.Snapshot, pod *corev1.Pod, entry string, template *resourcev1.ResourceClaimTemplate) *resourcev1.ResourceClaim {
	base := pod.Name + "-" + entry
	if whole := len(base) + 1; whole > longestBase { // both are told apart as long as they can be
		base = pod.Name[:len(pod.Name)*longestBase/whole] + "-" + entry[:len(entry)*longestBase/whole]
	}
	namer := controllers.Namer{Prefix: base, UID: string(pod.UID) + entry, Position: s.Position()}
	annotations := maps.Clone(template.Spec.Annotations)
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[resourcev1.PodResourceClaimAnnotation] = entry
	yes := true
	return &resourcev1.ResourceClaim{
		TypeMeta: metav1.TypeMeta{APIVersion: "resource.k8s.io/v1", Kind: "ResourceClaim"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: pod.Namespace, GenerateName: base + "-", Labels: maps.Clone(template.Spec.Labels), Annotations: annotations,
			Name: namer.Next(func(name string) bool {
				return s.Get(controllers.ResourceClaim.Key(pod.Namespace, name)).Exists()
			}),
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID, Controller: &yes}},
		},
		Spec: *template.Spec.Spec.DeepCopy(),
	}
}

// statuses are the pod's, with names of claims added, by the entries' names.
func statuses(pod *corev1.Pod, names map[string]string) []corev1.PodResourceClaimStatus {
	var out []corev1.PodResourceClaimStatus
	for _, status := range pod.Status.ResourceClaimStatuses {
		if status.ResourceClaimName == nil {
			out = append(out, status)
		}
	}
	for entry, claim := range names {
		out = append(out, corev1.PodResourceClaimStatus{Name: entry, ResourceClaimName: &claim})
	}
	slices.SortFunc(out, func(a, b corev1.PodResourceClaimStatus) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// mostReservations is how many pods may use one claim.
const mostReservations = resourcev1.ResourceClaimReservedForMaxSize

// reserve notes a pod that was bound by somebody else than the scheduler as a user
// of its allocated claims.
func reserve(s *projections.Snapshot, pod *corev1.Pod, names map[string]string) []controllers.Intent {
	var out []controllers.Intent
	for i := range pod.Spec.ResourceClaims {
		entry := &pod.Spec.ResourceClaims[i]
		name := names[entry.Name]
		if entry.ResourceClaimName != nil {
			name = *entry.ResourceClaimName
		}
		o := s.Get(controllers.ResourceClaim.Key(pod.Namespace, name))
		claim := claimOf(o)
		if claim == nil || claim.Status.Allocation == nil || claim.DeletionTimestamp != nil || len(claim.Status.ReservedFor) >= mostReservations {
			continue
		}
		if entry.ResourceClaimTemplateName != nil && !metav1.IsControlledBy(claim, pod) {
			continue
		}
		if slices.ContainsFunc(claim.Status.ReservedFor, func(r resourcev1.ResourceClaimConsumerReference) bool { return r.UID == pod.UID }) {
			continue
		}
		changed := claim.DeepCopy()
		changed.Status.ReservedFor = append(changed.Status.ReservedFor, resourcev1.ResourceClaimConsumerReference{Resource: "pods", Name: pod.Name, UID: pod.UID})
		out = append(out, controllers.Progressed(o, changed))
	}
	return out
}

// done reports a pod of which no container runs or ever will.
func done(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed || pod.DeletionTimestamp != nil && pod.Spec.NodeName == ""
}
