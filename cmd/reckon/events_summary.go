package main

import (
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// summary says in a few words what was created, for the kinds that people
// create most.
func summary(value runtime.Object) string {
	switch o := value.(type) {
	case *appsv1.Deployment:
		return replicas(o.Spec.Replicas) + ", " + images(&o.Spec.Template.Spec)
	case *appsv1.ReplicaSet:
		return replicas(o.Spec.Replicas) + ", " + images(&o.Spec.Template.Spec)
	case *corev1.Pod:
		return images(&o.Spec)
	case *corev1.Service:
		var ports []string
		for _, p := range o.Spec.Ports {
			ports = append(ports, fmt.Sprintf("%d/%s", p.Port, p.Protocol))
		}
		return strings.TrimSpace(fmt.Sprintf("%s %s %s", o.Spec.Type, o.Spec.ClusterIP, strings.Join(ports, ",")))
	}
	return "Created"
}

func replicas(n *int32) string {
	if n == nil {
		return "1 replica"
	}
	if *n == 1 {
		return "1 replica"
	}
	return fmt.Sprintf("%d replicas", *n)
}

func images(spec *corev1.PodSpec) string {
	var out []string
	for _, c := range spec.Containers {
		out = append(out, c.Image)
	}
	return "image " + strings.Join(out, ", ")
}
