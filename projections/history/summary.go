package history

import (
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Summary says in a few words what was created, for the kinds that people look
// at most; "" for others.
func Summary(value runtime.Object) string {
	switch o := value.(type) {
	case *appsv1.Deployment:
		return replicas(o.Spec.Replicas) + ", " + images(&o.Spec.Template.Spec)
	case *appsv1.ReplicaSet:
		return replicas(o.Spec.Replicas) + ", " + images(&o.Spec.Template.Spec)
	case *appsv1.StatefulSet:
		return replicas(o.Spec.Replicas) + ", " + images(&o.Spec.Template.Spec)
	case *appsv1.DaemonSet:
		return images(&o.Spec.Template.Spec)
	case *batchv1.Job:
		return images(&o.Spec.Template.Spec)
	case *batchv1.CronJob:
		return "at " + o.Spec.Schedule + ", " + images(&o.Spec.JobTemplate.Spec.Template.Spec)
	case *corev1.Pod:
		return images(&o.Spec)
	case *corev1.Service:
		var ports []string
		for _, p := range o.Spec.Ports {
			ports = append(ports, fmt.Sprintf("%d/%s", p.Port, p.Protocol))
		}
		return strings.Join(strings.Fields(fmt.Sprintf("%s %s %s", o.Spec.Type, o.Spec.ClusterIP, strings.Join(ports, ","))), " ")
	case *corev1.Node:
		if len(o.Status.Capacity) == 0 {
			return ""
		}
		return fmt.Sprintf("cpu %s, memory %s", o.Status.Capacity.Cpu(), o.Status.Capacity.Memory())
	case *corev1.ConfigMap:
		return keys(len(o.Data) + len(o.BinaryData))
	case *corev1.Secret:
		return keys(len(o.Data))
	case *corev1.PersistentVolumeClaim:
		return o.Spec.Resources.Requests.Storage().String()
	}
	return ""
}

func keys(n int) string {
	if n == 1 {
		return "1 key"
	}
	return fmt.Sprintf("%d keys", n)
}

func replicas(n *int32) string {
	if n == nil || *n == 1 {
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

// Kind is how people write an object's kind and name: "deployment/web".
func kindName(resource, name string) string { return singular(resource) + "/" + name }

// singular is the usual English of the API's plurals.
func singular(resource string) string {
	for _, plural := range []struct{ end, instead string }{{"ies", "y"}, {"sses", "ss"}, {"xes", "x"}, {"statuses", "status"}, {"endpoints", "endpoints"}, {"s", ""}} {
		if stem, ok := strings.CutSuffix(resource, plural.end); ok {
			return stem + plural.instead
		}
	}
	return resource
}

// isDeleting reports whether an object is on its way out.
func isDeleting(m metav1.Object) bool { return m.GetDeletionTimestamp() != nil }
