package nodefeed

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
)

// refsOf names the objects that a node needs to run a pod, each once.
func refsOf(pod *corev1.Pod) map[events.Key]struct{} {
	refs := map[events.Key]struct{}{}
	add := func(kind controllers.Kind, name string) {
		if name != "" {
			refs[kind.Key(pod.Namespace, name)] = struct{}{}
		}
	}
	add(controllers.ServiceAcct, pod.Spec.ServiceAccountName)
	for _, s := range pod.Spec.ImagePullSecrets {
		add(controllers.Secret, s.Name)
	}
	for i := range pod.Spec.Volumes {
		volumeRefs(pod, &pod.Spec.Volumes[i], add)
	}
	containers := func(cs []corev1.Container) {
		for i := range cs {
			envRefs(cs[i].Env, cs[i].EnvFrom, add)
		}
	}
	containers(pod.Spec.InitContainers)
	containers(pod.Spec.Containers)
	for i := range pod.Spec.EphemeralContainers {
		envRefs(pod.Spec.EphemeralContainers[i].Env, pod.Spec.EphemeralContainers[i].EnvFrom, add)
	}
	return refs
}

var claim = controllers.PersistentVolumeClaim

func volumeRefs(pod *corev1.Pod, v *corev1.Volume, add func(controllers.Kind, string)) {
	local := func(r *corev1.LocalObjectReference) {
		if r != nil {
			add(controllers.Secret, r.Name)
		}
	}
	switch {
	case v.ConfigMap != nil:
		add(controllers.ConfigMap, v.ConfigMap.Name)
	case v.Secret != nil:
		add(controllers.Secret, v.Secret.SecretName)
	case v.PersistentVolumeClaim != nil:
		add(claim, v.PersistentVolumeClaim.ClaimName)
	case v.Ephemeral != nil:
		add(claim, pod.Name+"-"+v.Name)
	case v.CSI != nil:
		local(v.CSI.NodePublishSecretRef)
	case v.Projected != nil:
		for _, s := range v.Projected.Sources {
			if s.ConfigMap != nil {
				add(controllers.ConfigMap, s.ConfigMap.Name)
			}
			if s.Secret != nil {
				add(controllers.Secret, s.Secret.Name)
			}
		}
	}
}

func envRefs(env []corev1.EnvVar, from []corev1.EnvFromSource, add func(controllers.Kind, string)) {
	for i := range env {
		f := env[i].ValueFrom
		if f == nil {
			continue
		}
		if f.ConfigMapKeyRef != nil {
			add(controllers.ConfigMap, f.ConfigMapKeyRef.Name)
		}
		if f.SecretKeyRef != nil {
			add(controllers.Secret, f.SecretKeyRef.Name)
		}
	}
	for i := range from {
		if from[i].ConfigMapRef != nil {
			add(controllers.ConfigMap, from[i].ConfigMapRef.Name)
		}
		if from[i].SecretRef != nil {
			add(controllers.Secret, from[i].SecretRef.Name)
		}
	}
}
