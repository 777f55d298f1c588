package main

import (
	"context"
	"fmt"
	"time"

	"github.com/reckon-project/reckon/events"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// workload is one of scheduler_perf's.
type workload struct {
	name    string
	floor   float64 // pods/s that Kubernetes' own CI asks for at 5,000 nodes
	nodes   []int
	pods    func(nodes int) int // nil: 10,000
	prepare func(s *schedulerBench, nodes int) error
	pod     func(i int) *corev1.Pod
	churn   func(ctx context.Context, s *schedulerBench) // meanwhile
}

var sizes = []int{1000, 5000}

var workloads = []*workload{
	{name: "SchedulingBasic", floor: 680, nodes: []int{1000, 5000, 15_000}, prepare: plainNodes, pod: func(i int) *corev1.Pod { return perfPod("pod", i) }},
	{name: "NodeAffinity", floor: 540, nodes: sizes, prepare: plainNodes, pod: func(i int) *corev1.Pod {
		p := perfPod("pod", i)
		p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
			NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{
				{Key: corev1.LabelTopologyZone, Operator: corev1.NodeSelectorOpIn, Values: []string{"zone-0", "zone-1"}},
			}}},
		}}}
		return p
	}},
	{name: "TopologySpreading", floor: 460, nodes: sizes, prepare: plainNodes, pod: func(i int) *corev1.Pod {
		p := perfPod("pod", i)
		p.Labels = map[string]string{"color": "blue"}
		p.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{
			MaxSkew: 5, TopologyKey: corev1.LabelTopologyZone, WhenUnsatisfiable: corev1.DoNotSchedule,
			LabelSelector: &metav1.LabelSelector{MatchLabels: p.Labels},
		}}
		return p
	}},
	{name: "PodAffinity", floor: 70, nodes: sizes, prepare: plainNodes, pod: func(i int) *corev1.Pod {
		p := perfPod("pod", i)
		p.Labels = map[string]string{"color": "blue"}
		p.Spec.Affinity = &corev1.Affinity{PodAffinity: &corev1.PodAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{
			{LabelSelector: &metav1.LabelSelector{MatchLabels: p.Labels}, TopologyKey: corev1.LabelTopologyZone},
		}}}
		return p
	}},
	{name: "PodAntiAffinity", floor: 180, nodes: sizes, prepare: plainNodes, pods: func(nodes int) int { return nodes * 2 / 5 }, pod: func(i int) *corev1.Pod {
		p := perfPod("pod", i)
		p.Labels = map[string]string{"color": "green"}
		p.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{
			{LabelSelector: &metav1.LabelSelector{MatchLabels: p.Labels}, TopologyKey: corev1.LabelHostname},
		}}}
		return p
	}},
	{name: "PreemptionAsync", floor: 570, nodes: sizes, pods: func(nodes int) int { return nodes },
		prepare: func(s *schedulerBench, nodes int) error {
			if err := plainNodes(s, nodes); err != nil {
				return err
			}
			for i := range 4 * nodes {
				p := perfPod("low", i)
				p.Spec.Containers[0].Resources.Requests[corev1.ResourceCPU] = resource.MustParse("900m")
				p.Spec.NodeName = fmt.Sprint("node-", i%nodes)
				if err := s.create("pods", p); err != nil {
					return err
				}
			}
			return nil
		},
		pod: func(i int) *corev1.Pod {
			p, high := perfPod("pod", i), int32(10)
			p.Spec.Priority = &high
			p.Spec.Containers[0].Resources.Requests[corev1.ResourceCPU] = resource.MustParse("3")
			return p
		}},
	{name: "Unschedulable", floor: 590, nodes: sizes, pod: func(i int) *corev1.Pod { return perfPod("pod", i) },
		prepare: func(s *schedulerBench, nodes int) error {
			for i := range 200 {
				if err := s.create("pods", tooLarge(i)); err != nil {
					return err
				}
			}
			return plainNodes(s, nodes)
		},
		churn: func(ctx context.Context, s *schedulerBench) {
			for i := 200; wait(ctx, 10*time.Millisecond); i++ {
				if s.create("pods", tooLarge(i)) != nil {
					return
				}
			}
		}},
	{name: "MixedChurn", nodes: sizes, prepare: plainNodes, pod: func(i int) *corev1.Pod { return perfPod("pod", i) }, churn: func(ctx context.Context, s *schedulerBench) {
		for i := 0; wait(ctx, 20*time.Millisecond); i++ {
			node := perfNode(1_000_000 + i)
			service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: fmt.Sprint("churn-", i)}, Spec: corev1.ServiceSpec{Selector: map[string]string{"app": "churn"}}}
			if s.create("nodes", node) != nil || s.create("services", service) != nil || s.create("pods", tooLarge(i)) != nil ||
				s.append(&events.Event{Key: events.Key{Resource: "nodes", Name: node.Name}, Type: events.Deleted}) != nil {
				return
			}
		}
	}},
}

// wait reports false when ctx ended first.
func wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

func plainNodes(s *schedulerBench, nodes int) error {
	for i := range nodes {
		if err := s.create("nodes", perfNode(i)); err != nil {
			return err
		}
	}
	return nil
}

// perfNode and perfPod are as large as scheduler_perf's.
func perfNode(i int) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("node-", i)}}
	n.Labels = map[string]string{corev1.LabelHostname: n.Name, corev1.LabelTopologyZone: fmt.Sprint("zone-", i%3)}
	n.Status.Allocatable = corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("4"), corev1.ResourceMemory: resource.MustParse("32Gi"), corev1.ResourcePods: resource.MustParse("110"),
	}
	n.Status.Capacity = n.Status.Allocatable
	return n
}

func perfPod(prefix string, i int) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: fmt.Sprint(prefix, "-", i)},
		Spec: corev1.PodSpec{SchedulerName: corev1.DefaultSchedulerName, Containers: []corev1.Container{{
			Name: "pause", Image: "registry.k8s.io/pause:3.10",
			Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{
				corev1.ResourceCPU: resource.MustParse("100m"), corev1.ResourceMemory: resource.MustParse("500Mi"),
			}},
		}}},
	}
}

func tooLarge(i int) *corev1.Pod {
	p := perfPod("large", i)
	p.Spec.Containers[0].Resources.Requests[corev1.ResourceCPU] = resource.MustParse("9")
	return p
}
