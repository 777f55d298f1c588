package store_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	api "k8s.io/kubernetes/pkg/apis/core"
	_ "k8s.io/kubernetes/pkg/apis/core/install"

	"github.com/reckon-project/reckon/gateway/store"
)

// BenchmarkCreatePods creates pods of ordinary size from 64 goroutines.
func BenchmarkCreatePods(b *testing.B) {
	for _, on := range setups {
		if on.volatile {
			continue
		}
		b.Run(on.name, func(b *testing.B) {
			s := podStore(b, newFixture(b, on, false), on.direct || on.name == "server")
			pod := internalPod()
			var n atomic.Uint64
			b.SetParallelism(32) // times two cores
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					p := pod.DeepCopy()
					p.Name = fmt.Sprintf("web-%d", n.Add(1))
					p.UID = types.UID(p.Name)
					if err := s.Create(b.Context(), "/pods/default/"+p.Name, p, &api.Pod{}, 0); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

// BenchmarkUpdatePod sets a label of one pod again and again.
func BenchmarkUpdatePod(b *testing.B) {
	s := podStore(b, newFixture(b, setups[0], false), true)
	pod := internalPod()
	if err := s.Create(b.Context(), "/pods/default/web", pod, &api.Pod{}, 0); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		err := s.GuaranteedUpdate(b.Context(), "/pods/default/web", &api.Pod{}, false, nil, storage.SimpleUpdate(func(in runtime.Object) (runtime.Object, error) {
			in.(*api.Pod).Labels["round"] = fmt.Sprint(i)
			return in, nil
		}), nil)
		if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkListPods lists 1,000 pods.
func BenchmarkListPods(b *testing.B) {
	s := podStore(b, newFixture(b, setups[0], false), true)
	pod := internalPod()
	for i := range 1000 {
		p := pod.DeepCopy()
		p.Name = fmt.Sprintf("web-%d", i)
		if err := s.Create(b.Context(), "/pods/default/"+p.Name, p, nil, 0); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		opts := storage.ListOptions{Recursive: true, Predicate: storage.Everything}
		if err := s.GetList(b.Context(), "/pods", opts, &api.PodList{}); err != nil {
			b.Fatal(err)
		}
	}
}

func podStore(b *testing.B, f *fixture, direct bool) *store.Store {
	o := store.Options{
		Log: f.log, Projection: f.projection, Hub: f.hub,
		Resource: schema.GroupResource{Resource: "pods"}, ResourcePrefix: "/pods",
		Codec:   legacyscheme.Codecs.LegacyCodec(corev1.SchemeGroupVersion),
		NewFunc: func() runtime.Object { return &api.Pod{} }, Now: time.Now,
	}
	if direct {
		o.Schemes, o.EncodeVersioner = []*runtime.Scheme{legacyscheme.Scheme}, corev1.SchemeGroupVersion
	}
	s, err := store.New(o)
	if err != nil {
		b.Fatal(err)
	}
	return s
}

func internalPod() *api.Pod {
	container := corev1.Container{
		Name: "web", Image: "registry.example/team/web:1.2.3", Args: []string{"--listen=:8080", "--log=info"},
		Env:   []corev1.EnvVar{{Name: "MODE", Value: "production"}, {Name: "REGION", Value: "north"}},
		Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}},
		Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{"cpu": resource.MustParse("100m"), "memory": resource.MustParse("64Mi")},
			Limits:   corev1.ResourceList{"memory": resource.MustParse("128Mi")},
		},
		VolumeMounts: []corev1.VolumeMount{{Name: "config", MountPath: "/etc/web"}},
		ReadinessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{
			HTTPGet: &corev1.HTTPGetAction{Path: "/ready"},
		}},
	}
	controller := true
	v1 := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: "web", Namespace: "default", UID: "7b0ba3f5-3b0e-4a0c-8b1f-6a5c6f2d9e11", GenerateName: "web-5d4f8c7b9-",
			Labels:          map[string]string{"app": "web", "pod-template-hash": "5d4f8c7b9", "tier": "front"},
			Annotations:     map[string]string{"example.com/owner": "team-web", "example.com/commit": "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c"},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "web-5d4f8c7b9", UID: "1d0ba3f5", Controller: &controller}},
			ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "controller", Operation: "Update", APIVersion: "v1", FieldsType: "FieldsV1",
				FieldsV1: metav1.NewFieldsV1(`{"f:metadata":{"f:labels":{".":{},"f:app":{},"f:tier":{}},"f:ownerReferences":{".":{}}},"f:spec":{"f:containers":{"k:{\"name\":\"web\"}":{".":{},"f:image":{},"f:env":{},"f:resources":{}}}}}`)}},
		},
		Spec: corev1.PodSpec{
			Containers: []corev1.Container{container},
			Volumes:    []corev1.Volume{{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "web"}}}}},
		},
	}
	pod := &api.Pod{}
	internal(v1, pod)
	return pod
}

// BenchmarkGetPod reads a pod from 64 goroutines, consistently.
func BenchmarkGetPod(b *testing.B) {
	for _, on := range setups {
		if on.volatile || on.direct {
			continue
		}
		b.Run(on.name, func(b *testing.B) {
			s := podStore(b, newFixture(b, on, false), true)
			if err := s.Create(b.Context(), "/pods/default/web", internalPod(), nil, 0); err != nil {
				b.Fatal(err)
			}
			b.SetParallelism(32)
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := s.Get(b.Context(), "/pods/default/web", storage.GetOptions{}, &api.Pod{}); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}
