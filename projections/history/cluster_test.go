package history_test

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/reckon-project/reckon/events"
)

var webKey = events.Key{Group: "apps", Resource: "deployments", Namespace: "default", Name: "web"}

func podKey(name string) events.Key {
	return events.Key{Resource: "pods", Namespace: "default", Name: name}
}

func meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: "default", Name: name, Labels: map[string]string{"app": "web"}}
}

func owned(name, kind, owner string) metav1.ObjectMeta {
	m, yes := meta(name), true
	api := "apps/v1"
	m.OwnerReferences = []metav1.OwnerReference{{APIVersion: api, Kind: kind, Name: owner, UID: types.UID(owner + "-uid"), Controller: &yes}}
	return m
}

func podSpec(image string) corev1.PodSpec {
	return corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: image}}}
}

func deployment(n int32, image string) *appsv1.Deployment {
	return &appsv1.Deployment{ObjectMeta: meta("web"), Spec: appsv1.DeploymentSpec{
		Replicas: &n, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}}, Spec: podSpec(image)},
	}}
}

func replicaSet(name string, n int32, image string) *appsv1.ReplicaSet {
	return &appsv1.ReplicaSet{ObjectMeta: owned(name, "Deployment", "web"), Spec: appsv1.ReplicaSetSpec{
		Replicas: &n, Template: corev1.PodTemplateSpec{Spec: podSpec(image)},
	}}
}

func pod(name, rs, image string) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: owned(name, "ReplicaSet", rs), Spec: podSpec(image)}
	p.Status.Phase = corev1.PodPending
	return p
}

// place is what the scheduler does to a pod.
func (s *story) place(name, node string, cause uint64) uint64 {
	s.t.Helper()
	w := scheduler(cause).tells("Scheduled", "Successfully assigned default/"+name+" to "+node)
	w.why = `{"nodes":3,"feasible":2,"refused":{"TaintToleration":1},"scores":{"NodeResourcesBalancedAllocation":91,"NodeResourcesFit":87}}`
	return s.change(w, podKey(name), func(o runtime.Object) {
		p := o.(*corev1.Pod)
		p.Spec.NodeName = node
		p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: corev1.PodScheduled, Status: corev1.ConditionTrue})
	})
}

// start is what a node reports of a pod that runs.
func (s *story) start(name, node string, cause uint64) uint64 {
	s.t.Helper()
	return s.report(node, podKey(name), cause, "Pulled,Started", "Container image is already present on machine\nContainer started", func(o runtime.Object) {
		p := o.(*corev1.Pod)
		p.Status.Phase = corev1.PodRunning
		p.Status.PodIP = "10.0.0.7"
		p.Status.PodIPs = []corev1.PodIP{{IP: "10.0.0.7"}}
		ready(p, corev1.ConditionTrue, "")
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "web", Ready: true, Image: p.Spec.Containers[0].Image, ContainerID: "containerd://1",
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(s.now)}}}}
	})
}

func ready(p *corev1.Pod, status corev1.ConditionStatus, reason string) {
	for i := range p.Status.Conditions {
		if p.Status.Conditions[i].Type == corev1.PodReady {
			p.Status.Conditions[i].Status, p.Status.Conditions[i].Reason = status, reason
			return
		}
	}
	p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: corev1.PodReady, Status: status, Reason: reason})
}

// roll is what follows when somebody (cause) wants pods of an image: a replica
// set with pods that run.
func (s *story) roll(rs, image string, n int, cause uint64) (made uint64) {
	s.t.Helper()
	made = s.create(controller("deployment", cause).tells("ScalingReplicaSet", fmt.Sprintf("Scaled up replica set %s from 0 to %d", rs, n)), replicaSet(rs, int32(n), image))
	for i := range n {
		name := fmt.Sprintf("%s-%c", rs, 'a'+i)
		created := s.create(controller("replicaset", made).tells("SuccessfulCreate", "Created pod: "+name), pod(name, rs, image))
		placed := s.place(name, fmt.Sprintf("n%d", i+1), created)
		s.start(name, fmt.Sprintf("n%d", i+1), placed)
	}
	return made
}

func (s *story) count(w say, k events.Key, readyReplicas int32) uint64 {
	s.t.Helper()
	w.typ = events.Progressed
	w.source = "controllers"
	return s.change(w, k, func(o runtime.Object) {
		switch o := o.(type) {
		case *appsv1.Deployment:
			o.Status.ReadyReplicas, o.Status.ObservedGeneration = readyReplicas, o.Status.ObservedGeneration+1
			status := corev1.ConditionTrue
			if o.Spec.Replicas != nil && readyReplicas < *o.Spec.Replicas {
				status = corev1.ConditionFalse
			}
			o.Status.Conditions = []appsv1.DeploymentCondition{{Type: appsv1.DeploymentAvailable, Status: status, LastUpdateTime: metav1.NewTime(s.now)}}
		case *appsv1.ReplicaSet:
			o.Status.ReadyReplicas = readyReplicas
		}
	})
}

func setImage(image string) func(runtime.Object) {
	return func(o runtime.Object) { o.(*appsv1.Deployment).Spec.Template.Spec.Containers[0].Image = image }
}

func scale(n int32) func(runtime.Object) {
	return func(o runtime.Object) {
		switch o := o.(type) {
		case *appsv1.Deployment:
			o.Spec.Replicas = &n
		case *appsv1.ReplicaSet:
			o.Spec.Replicas = &n
		}
	}
}
