package ephemeralvolume

import (
	"context"
	"maps"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-helpers/storage/ephemeral"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// New makes the controller.
func New() *controllers.Controller {
	return controllers.New("ephemeral-volume-controller").
		Watches("", "pods", podChanged).
		Watches("", "persistentvolumeclaims", claimChanged).
		Writes(events.Progressed).
		Reconcile(reconcile)
}

func podChanged(_ *projections.Snapshot, c projections.Change, add func(events.Key)) {
	if c.Old.Exists() || !c.New.Exists() {
		return // a pod's volumes don't change
	}
	if pod, ok := c.New.Value.(*corev1.Pod); ok && wants(pod) {
		add(c.New.Key)
	}
}

// claimChanged maps a claim that is gone to its pod, which then gets another.
func claimChanged(s *projections.Snapshot, c projections.Change, add func(events.Key)) {
	if c.New.Exists() || !c.Old.Exists() {
		return
	}
	if key, _, ok := controllers.Pod.ControllerOf(c.Old); ok {
		add(key)
		return
	}
	for pod := range projections.List[*corev1.Pod](s, "", "pods", c.Old.Key.Namespace) { // it was in a pod's way
		for i := range pod.Spec.Volumes {
			if v := &pod.Spec.Volumes[i]; v.Ephemeral != nil && ephemeral.VolumeClaimName(pod, v) == c.Old.Key.Name {
				add(controllers.Pod.Key(pod.Namespace, pod.Name))
			}
		}
	}
}

func wants(pod *corev1.Pod) bool {
	for i := range pod.Spec.Volumes {
		if pod.Spec.Volumes[i].Ephemeral != nil {
			return true
		}
	}
	return false
}

func reconcile(_ context.Context, s *projections.Snapshot, key events.Key) (controllers.Result, error) {
	pod, ok := projections.Get[*corev1.Pod](s, key)
	if !ok || pod.DeletionTimestamp != nil {
		return controllers.Result{}, nil
	}
	var intents []controllers.Intent
	for i := range pod.Spec.Volumes {
		v := &pod.Spec.Volumes[i]
		if v.Ephemeral == nil || v.Ephemeral.VolumeClaimTemplate == nil {
			continue
		}
		name := ephemeral.VolumeClaimName(pod, v)
		claim, ok := projections.Get[*corev1.PersistentVolumeClaim](s, controllers.PersistentVolumeClaim.Key(pod.Namespace, name))
		if !ok {
			intents = append(intents, controllers.Create(controllers.PersistentVolumeClaim, newClaim(pod, name, v.Ephemeral.VolumeClaimTemplate)))
			continue
		}
		if err := ephemeral.VolumeIsForPod(pod, claim); err != nil {
			intents = append(intents, controllers.Progressed(s.Get(key), pod).Because("FailedBinding", "ephemeral volume %s: %v", v.Name, err))
			break
		}
	}
	return controllers.Do(intents...), nil
}

func newClaim(pod *corev1.Pod, name string, t *corev1.PersistentVolumeClaimTemplate) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PersistentVolumeClaim"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: pod.Namespace, Name: name, Labels: maps.Clone(t.Labels), Annotations: maps.Clone(t.Annotations),
			OwnerReferences: []metav1.OwnerReference{controllers.Pod.Ref(pod)},
		},
		Spec: t.Spec,
	}
}
