package main

import (
	"fmt"
	"io"
	"os"

	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
)

// readPod reads a pod, or the first pod of something with a template, with the
// API's defaults filled in.
func readPod(stdin io.Reader, file, namespace string) (*corev1.Pod, error) {
	var data []byte
	var err error
	if file == "-" {
		data, err = io.ReadAll(stdin)
	} else {
		data, err = os.ReadFile(file)
	}
	if err != nil {
		return nil, err
	}
	o, kind, err := legacyscheme.Codecs.UniversalDeserializer().Decode(data, nil, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	legacyscheme.Scheme.Default(o)
	var pod *corev1.Pod
	of := func(meta metav1.ObjectMeta, t *corev1.PodTemplateSpec) *corev1.Pod {
		pod := &corev1.Pod{ObjectMeta: t.ObjectMeta, Spec: t.Spec}
		pod.Name, pod.Namespace = meta.Name, meta.Namespace
		return pod
	}
	switch o := o.(type) {
	case *corev1.Pod:
		pod = o
	case *appsv1.Deployment:
		pod = of(o.ObjectMeta, &o.Spec.Template)
	case *appsv1.ReplicaSet:
		pod = of(o.ObjectMeta, &o.Spec.Template)
	case *appsv1.StatefulSet:
		pod = of(o.ObjectMeta, &o.Spec.Template)
	case *appsv1.DaemonSet:
		pod = of(o.ObjectMeta, &o.Spec.Template)
	case *batchv1.Job:
		pod = of(o.ObjectMeta, &o.Spec.Template)
	case *batchv1.CronJob:
		pod = of(o.ObjectMeta, &o.Spec.JobTemplate.Spec.Template)
	default:
		return nil, fmt.Errorf("%s: a %s has no pods: give a Pod, or something with a pod template", file, kind.Kind)
	}
	legacyscheme.Scheme.Default(pod)
	if pod.Namespace == "" {
		pod.Namespace = namespace
	}
	if pod.Name == "" {
		pod.Name = pod.GenerateName
	}
	pod.Spec.NodeName = ""
	return pod, nil
}

// setPriority looks up the pod's priority class, as the API would.
func setPriority(s *projections.Snapshot, pod *corev1.Pod) {
	if pod.Spec.Priority != nil {
		return
	}
	set := func(c *schedulingv1.PriorityClass) {
		pod.Spec.Priority = &c.Value
		if pod.Spec.PreemptionPolicy == nil {
			pod.Spec.PreemptionPolicy = c.PreemptionPolicy
		}
	}
	if name := pod.Spec.PriorityClassName; name != "" {
		if c, ok := projections.Get[*schedulingv1.PriorityClass](s, events.Key{Group: "scheduling.k8s.io", Resource: "priorityclasses", Name: name}); ok {
			set(c)
		}
		return
	}
	for c := range projections.List[*schedulingv1.PriorityClass](s, "scheduling.k8s.io", "priorityclasses", "") {
		if c.GlobalDefault {
			set(c)
		}
	}
}
