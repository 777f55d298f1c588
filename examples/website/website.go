package main

import (
	"context"
	"fmt"
	"maps"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// Website is the kind that is reconciled.
var Website = controllers.Kind{Group: "examples.reckon.dev", Version: "v1", Kind: "Website", Resource: "websites"}

type website struct {
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Image    string `json:"image"`
		Replicas int32  `json:"replicas"`
		Port     int32  `json:"port"`
	} `json:"spec"`
}

// New is the operator.
func New() *controllers.Controller {
	return controllers.New("website-operator").
		For(Website.Group, Website.Resource).
		Owns("apps", "deployments", Website).
		Owns("", "services", Website).
		Writes(events.Reported).
		Reconcile(reconcile)
}

func reconcile(_ context.Context, s *projections.Snapshot, key events.Key) (controllers.Result, error) {
	object := s.Get(key)
	if !object.Exists() || object.Meta().GetDeletionTimestamp() != nil {
		return controllers.Result{}, nil // what it owns goes with it
	}
	var site website
	value := object.Value.(*unstructured.Unstructured)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(value.Object, &site); err != nil {
		return controllers.Result{}, fmt.Errorf("%s: %w", key, err)
	}
	var result controllers.Result
	do := func(i controllers.Intent) { result.Intents = append(result.Intents, i) }

	ready := int32(0)
	deployment, found := projections.Get[*appsv1.Deployment](s, controllers.Deployment.Key(key.Namespace, key.Name))
	switch {
	case !found:
		do(controllers.Create(controllers.Deployment, site.deployment()).Because("Created", "Deployment %s", key.Name))
	case metav1.IsControlledBy(deployment, &site):
		ready = deployment.Status.ReadyReplicas
		if wanted := site.applyTo(deployment.DeepCopy()); wanted != nil {
			do(controllers.Patch(s.Get(controllers.Deployment.Key(key.Namespace, key.Name)), wanted).
				Because("Updated", "Deployment %s: %d × %s", key.Name, site.Spec.Replicas, site.Spec.Image))
		}
	}
	if !s.Get(controllers.Service.Key(key.Namespace, key.Name)).Exists() {
		do(controllers.Create(controllers.Service, site.service()))
	}

	status := map[string]any{
		"ready":              fmt.Sprintf("%d/%d", ready, site.Spec.Replicas),
		"url":                fmt.Sprintf("http://%s.%s:%d/", key.Name, key.Namespace, site.Spec.Port),
		"observedGeneration": site.Generation,
	}
	if had, _, _ := unstructured.NestedMap(value.Object, "status"); !maps.Equal(had, status) { //nolint:errcheck // another shape differs
		reported := value.DeepCopy()
		reported.Object["status"] = status
		do(controllers.Reported(object, reported).Because("Ready", "%s replicas are ready", status["ready"]))
	}
	return result, nil
}

func (w *website) meta() metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: w.Namespace, Name: w.Name, Labels: map[string]string{"website": w.Name},
		OwnerReferences: []metav1.OwnerReference{Website.Ref(w)},
	}
}

func (w *website) deployment() *appsv1.Deployment {
	labels := map[string]string{"website": w.Name}
	d := &appsv1.Deployment{
		TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"}, ObjectMeta: w.meta(),
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "web"}}},
			},
		},
	}
	return w.applyTo(d)
}

// applyTo changes d to what the website wants; nil if it is so already.
func (w *website) applyTo(d *appsv1.Deployment) *appsv1.Deployment {
	web := &d.Spec.Template.Spec.Containers[0]
	if d.Spec.Replicas != nil && *d.Spec.Replicas == w.Spec.Replicas && web.Image == w.Spec.Image {
		return nil
	}
	d.Spec.Replicas, web.Image = &w.Spec.Replicas, w.Spec.Image
	return d
}

func (w *website) service() *corev1.Service {
	return &corev1.Service{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Service"}, ObjectMeta: w.meta(),
		Spec: corev1.ServiceSpec{
			Selector: map[string]string{"website": w.Name},
			Ports:    []corev1.ServicePort{{Port: w.Spec.Port, TargetPort: intstr.FromInt32(w.Spec.Port)}},
		},
	}
}
