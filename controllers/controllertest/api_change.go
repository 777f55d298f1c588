package controllertest

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/reckon-project/reckon/events"
)

func uid(n uint64) types.UID { return types.UID(fmt.Sprintf("00000000-0000-4000-8000-%012d", n)) }

// replace is an update of old by what was asked for.
func (a *API) replace(old *events.Object, m metav1.Object, w *write) (*events.Event, error) {
	before := old.Meta()
	if u := m.GetUID(); u != "" && u != before.GetUID() {
		return nil, apierrors.NewConflict(w.resource(), w.key.Name, fmt.Errorf("uid is %s, not %s", before.GetUID(), u))
	}
	m.SetUID(before.GetUID())
	m.SetCreationTimestamp(before.GetCreationTimestamp())
	m.SetDeletionTimestamp(before.GetDeletionTimestamp())
	m.SetResourceVersion(before.GetResourceVersion())
	value := m.(runtime.Object)
	if reflect.DeepEqual(old.Value, value) {
		return nil, nil
	}
	eventType := events.Updated
	if specChanged(old.Value, value) {
		m.SetGeneration(before.GetGeneration() + 1)
		countTemplate(old.Value, value)
	}
	if onlyReplicas(old.Value, value) {
		eventType = events.Scaled
	}
	data, contentType, err := events.Diff(old.Value, value)
	if err != nil {
		return nil, err
	}
	e := &events.Event{Type: eventType, IfVersion: old.Version, ContentType: contentType, Data: data}
	if m.GetDeletionTimestamp() != nil && !held(value) {
		e.Type = events.Deleted
	}
	return e, nil
}

// held reports whether a deleted object has to stay for now.
func held(value runtime.Object) bool {
	m := value.(metav1.Object)
	if len(m.GetFinalizers()) > 0 {
		return true
	}
	if ns, ok := value.(*corev1.Namespace); ok && len(ns.Spec.Finalizers) > 0 {
		return true
	}
	g := m.GetDeletionGracePeriodSeconds()
	return g != nil && *g > 0
}

func (a *API) delete(old *events.Object, w *write) (*events.Event, error) {
	var o metav1.DeleteOptions
	if len(w.body) > 0 {
		if err := json.Unmarshal(w.body, &o); err != nil {
			return nil, apierrors.NewBadRequest(err.Error())
		}
	}
	before := old.Meta()
	if p := o.Preconditions; p != nil {
		if p.UID != nil && *p.UID != before.GetUID() || p.ResourceVersion != nil && *p.ResourceVersion != before.GetResourceVersion() {
			return nil, apierrors.NewConflict(w.resource(), w.key.Name, errors.New("the precondition doesn't hold"))
		}
	}
	value := old.Value.DeepCopyObject()
	m := value.(metav1.Object)
	setPropagation(m, o.PropagationPolicy)
	grace := graceOf(value, o.GracePeriodSeconds)
	if before.GetDeletionTimestamp() == nil {
		at := metav1.NewTime(a.Clock().Add(time.Duration(grace) * time.Second).Truncate(time.Second))
		m.SetDeletionTimestamp(&at)
	}
	if had := before.GetDeletionGracePeriodSeconds(); had == nil || grace < *had {
		m.SetDeletionGracePeriodSeconds(&grace)
	}
	if ns, ok := value.(*corev1.Namespace); ok {
		ns.Status.Phase = corev1.NamespaceTerminating
	}
	if !held(value) {
		return &events.Event{Type: events.Deleted, IfVersion: old.Version}, nil
	}
	if reflect.DeepEqual(old.Value, value) {
		return nil, nil
	}
	data, contentType, err := events.Diff(old.Value, value)
	return &events.Event{Type: events.Deleting, IfVersion: old.Version, ContentType: contentType, Data: data}, err
}

func setPropagation(m metav1.Object, p *metav1.DeletionPropagation) {
	if p == nil {
		return
	}
	finalizers := slices.DeleteFunc(slices.Clone(m.GetFinalizers()), func(f string) bool {
		return f == metav1.FinalizerOrphanDependents || f == metav1.FinalizerDeleteDependents
	})
	switch *p {
	case metav1.DeletePropagationOrphan:
		finalizers = append(finalizers, metav1.FinalizerOrphanDependents)
	case metav1.DeletePropagationForeground:
		finalizers = append(finalizers, metav1.FinalizerDeleteDependents)
	}
	m.SetFinalizers(finalizers)
}

// graceOf is the grace period of a deletion: only pods that run have one.
func graceOf(value runtime.Object, asked *int64) int64 {
	pod, ok := value.(*corev1.Pod)
	if !ok || pod.Spec.NodeName == "" || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
		return 0
	}
	if asked != nil {
		return *asked
	}
	if g := pod.Spec.TerminationGracePeriodSeconds; g != nil {
		return *g
	}
	return 30
}

// specChanged reports a change outside metadata and status.
func specChanged(old, value runtime.Object) bool { return !reflect.DeepEqual(rest(old), rest(value)) }

func rest(value runtime.Object) map[string]any {
	data, err := json.Marshal(value)
	if err != nil {
		return nil
	}
	var m map[string]any
	if json.Unmarshal(data, &m) != nil {
		return nil
	}
	delete(m, "metadata")
	delete(m, "status")
	return m
}

func onlyReplicas(old, value runtime.Object) bool {
	o, n := rest(old), rest(value)
	so, _ := o["spec"].(map[string]any)
	sn, _ := n["spec"].(map[string]any)
	if so == nil || sn == nil || so["replicas"] == nil || reflect.DeepEqual(so["replicas"], sn["replicas"]) {
		return false
	}
	delete(so, "replicas")
	delete(sn, "replicas")
	return reflect.DeepEqual(o, n)
}

// setDefaults fills in what the API would and the controllers rely on.
func setDefaults(value runtime.Object) {
	switch o := value.(type) {
	case *corev1.Namespace:
		o.Spec.Finalizers = []corev1.FinalizerName{corev1.FinalizerKubernetes}
		o.Status.Phase = corev1.NamespaceActive
		if o.Labels == nil {
			o.Labels = map[string]string{}
		}
		o.Labels[corev1.LabelMetadataName] = o.Name
	case *corev1.Pod:
		if o.Status.Phase == "" {
			o.Status.Phase = corev1.PodPending
		}
	case *batchv1.Job:
		setJobDefaults(o)
	case *batchv1.CronJob:
		setCronJobDefaults(o)
	case *appsv1.ReplicaSet:
		o.Spec.Replicas = orDefault(o.Spec.Replicas, 1)
	case *appsv1.StatefulSet:
		setStatefulSetDefaults(o)
	case *appsv1.DaemonSet:
		setDaemonSet(o)
	case *appsv1.Deployment:
		o.Spec.Replicas = orDefault(o.Spec.Replicas, 1)
		o.Spec.RevisionHistoryLimit = orDefault(o.Spec.RevisionHistoryLimit, 10)
		o.Spec.ProgressDeadlineSeconds = orDefault(o.Spec.ProgressDeadlineSeconds, 600)
		setStrategy(&o.Spec.Strategy)
	case *corev1.Service:
		for i := range o.Spec.Ports {
			p := &o.Spec.Ports[i]
			if p.Protocol == "" {
				p.Protocol = corev1.ProtocolTCP
			}
			if p.TargetPort == (intstr.IntOrString{}) {
				p.TargetPort = intstr.FromInt32(p.Port)
			}
		}
	}
	if k, ok := value.(*appsv1.Deployment); ok && k.Spec.Template.Spec.RestartPolicy == "" {
		k.Spec.Template.Spec.RestartPolicy = corev1.RestartPolicyAlways
	}
}

func setStrategy(s *appsv1.DeploymentStrategy) {
	if s.Type == "" {
		s.Type = appsv1.RollingUpdateDeploymentStrategyType
	}
	if s.Type != appsv1.RollingUpdateDeploymentStrategyType {
		return
	}
	if s.RollingUpdate == nil {
		s.RollingUpdate = &appsv1.RollingUpdateDeployment{}
	}
	quarter := intstr.FromString("25%")
	if s.RollingUpdate.MaxSurge == nil {
		s.RollingUpdate.MaxSurge = &quarter
	}
	if s.RollingUpdate.MaxUnavailable == nil {
		s.RollingUpdate.MaxUnavailable = &quarter
	}
}

func orDefault(p *int32, d int32) *int32 {
	if p != nil {
		return p
	}
	return &d
}
