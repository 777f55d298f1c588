package endpointslice_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/controllers/endpointslice"
	"github.com/reckon-project/reckon/projections"
)

func zoned(name, zone, cpu string) *corev1.Node {
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelTopologyZone: zone}},
		Status: corev1.NodeStatus{
			Allocatable: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)},
			Conditions:  []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}},
		},
	}
}

// hintsFor gives how many endpoints are hinted at each zone, and what was told of it.
func hintsFor(t *testing.T, w *controllertest.World) string {
	t.Helper()
	w.Advance(time.Second)
	count := map[string]int{}
	for s := range projections.List[*discoveryv1.EndpointSlice](w.Snapshot(), "discovery.k8s.io", "endpointslices", "default") {
		for _, e := range s.Endpoints {
			zone := "nowhere"
			if e.Hints != nil {
				zone = e.Hints.ForZones[0].Name
			}
			count[zone]++
		}
	}
	last := ""
	for e, err := range w.Bus.Log().Read(t.Context(), 1) {
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(e.Reason, "Topology") {
			last = e.Reason + ": " + e.Note
		}
	}
	return fmt.Sprint(count, " ", last)
}

// TestTopologyMode: zones are given as many endpoints as they have of the
// processors; where that can't be, there are no hints, and why is told.
func TestTopologyMode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		w.Run(endpointslice.New())
		w.Schedule("a1", "b1")
		w.Create(controllers.Node, zoned("a1", "a", "4"))
		w.Create(controllers.Node, zoned("b1", "b", "4"))
		svc := service("web", intstr.FromInt32(80))
		svc.Annotations = map[string]string{corev1.AnnotationTopologyMode: "Auto"}
		nearest := corev1.ServiceTrafficDistributionPreferClose
		svc.Spec.TrafficDistribution = &nearest
		w.Create(controllers.Service, svc)
		w.Advance(time.Second) // what is told first is told before there is a pod
		w.Create(controllers.Pod, pod("p0", 80))
		want := func(what, want string) {
			t.Helper()
			if got := hintsFor(t, w); got != want {
				t.Errorf("%s: hints are %s, not %s", what, got, want)
			}
		}
		want("one pod", "map[nowhere:1] TopologyAwareHintsDisabled: Insufficient number of endpoints (0 endpoints, 2 zones), addressType: IPv4")
		for i := range 9 {
			w.Create(controllers.Pod, pod(fmt.Sprintf("p%d", i+1), 80))
		}
		want("ten pods", "map[a:5 b:5] TopologyAwareHintsEnabled: Topology Aware Hints has been enabled, addressType: IPv4")
		node := controllers.Node.Key("", "b1")
		w.PatchStatus(node, `{"status":{"allocatable":{"cpu":"5"}}}`)
		want("a little more there", "map[a:5 b:5] TopologyAwareHintsEnabled: Topology Aware Hints has been enabled, addressType: IPv4")
		w.PatchStatus(node, `{"status":{"allocatable":{"cpu":"12"}}}`)
		want("three times as much there", "map[a:3 b:7] TopologyAwareHintsEnabled: Topology Aware Hints has been enabled, addressType: IPv4")
		w.Create(controllers.Node, zoned("c1", "", "4"))
		want("a node without a zone", "map[nowhere:10] TopologyAwareHintsDisabled: Insufficient Node information: allocatable CPU or zone not specified on one or more nodes, addressType: IPv4")
		w.Patch(controllers.Node.Key("", "c1"), `{"metadata":{"labels":{"node-role.kubernetes.io/control-plane":""}}}`)
		want("which runs the control plane", "map[a:3 b:7] TopologyAwareHintsEnabled: Topology Aware Hints has been enabled, addressType: IPv4")
		w.Patch(controllers.Service.Key("default", "web"), `{"metadata":{"annotations":null}}`)
		if got := hintsFor(t, w); !strings.HasPrefix(got, "map[") || strings.Contains(got, "nowhere") {
			t.Errorf("trafficDistribution isn't followed: %s", got)
		}
	})
}
