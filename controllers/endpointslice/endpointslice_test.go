package endpointslice_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/controllers/endpointslice"
	"github.com/reckon-project/reckon/controllers/podgc"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

func start(t *testing.T) *controllertest.World {
	w := controllertest.NewWorld(t)
	w.Run(endpointslice.New(), endpointslice.NewEndpoints(), podgc.New())
	w.Create(controllers.Node, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1", Labels: map[string]string{corev1.LabelTopologyZone: "z1"}}})
	return w
}

func service(name string, port intstr.IntOrString) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, Labels: map[string]string{"team": "a"}},
		Spec: corev1.ServiceSpec{
			ClusterIP: "10.0.0.1", Selector: map[string]string{"app": "web"},
			Ports: []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: port}},
		},
	}
}

func pod(name string, port int32) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, Labels: map[string]string{"app": "web"}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Name: "c", Ports: []corev1.ContainerPort{{Name: "web", ContainerPort: port, Protocol: corev1.ProtocolTCP}},
		}}},
	}
}

// show gives the slices and Endpoints of the default namespace, one line each.
func show(w *controllertest.World) string {
	var lines []string
	for s := range projections.List[*discoveryv1.EndpointSlice](w.Snapshot(), "discovery.k8s.io", "endpointslices", "default") {
		var parts []string
		for _, p := range s.Ports {
			parts = append(parts, fmt.Sprintf("%s:%d", *p.Name, *p.Port))
		}
		for _, e := range s.Endpoints {
			state := "ready"
			switch {
			case *e.Conditions.Terminating:
				state = "terminating"
			case !*e.Conditions.Ready:
				state = "not ready"
			}
			parts = append(parts, fmt.Sprintf("%s %s", e.TargetRef.Name, state))
		}
		lines = append(lines, fmt.Sprintf("slice of %s: %s", s.Labels[discoveryv1.LabelServiceName], strings.Join(parts, ", ")))
	}
	for e := range projections.List[*corev1.Endpoints](w.Snapshot(), "", "endpoints", "default") {
		var parts []string
		for _, s := range e.Subsets {
			for _, a := range s.Addresses {
				parts = append(parts, a.TargetRef.Name+" ready")
			}
			for _, a := range s.NotReadyAddresses {
				parts = append(parts, a.TargetRef.Name+" not ready")
			}
		}
		lines = append(lines, fmt.Sprintf("endpoints %s: %s", e.Name, strings.Join(parts, ", ")))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func TestFollowReadiness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		defer w.Stop()
		script := controllertest.NewTranscript(w, "readiness")
		step := func(name string) {
			w.Advance(5 * time.Second)
			script.Say(name, show(w))
		}
		w.Create(controllers.Service, service("web", intstr.FromString("web")))
		step("a service without pods")
		w.Nodes.Become(func(p *corev1.Pod) controllertest.State {
			if p.Name == "b" {
				return controllertest.Running
			}
			return controllertest.Ready
		})
		w.Schedule("n1")
		w.Create(controllers.Pod, pod("a", 8080))
		w.Create(controllers.Pod, pod("b", 8080))
		step("one pod is ready, the other runs")
		w.Create(controllers.Pod, pod("c", 9090))
		step("a pod with another port")
		w.Patch(controllers.Service.Key("default", "web"), `{"spec":{"publishNotReadyAddresses":true}}`)
		step("not ready addresses are published")
		w.Delete(controllers.Pod.Key("default", "a"), "")
		w.Delete(controllers.Pod.Key("default", "c"), "")
		step("two are deleted")
		w.Delete(controllers.Pod.Key("default", "b"), "")
		step("the last is deleted")
		script.Done()
	})
}

func TestHeadlessNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		defer w.Stop()
		w.Schedule("n1")
		svc := service("db", intstr.FromInt32(80))
		svc.Spec.ClusterIP, svc.Spec.Ports = corev1.ClusterIPNone, nil
		w.Create(controllers.Service, svc)
		p := pod("db-0", 80)
		p.Spec.Hostname, p.Spec.Subdomain = "db-0", "db"
		w.Create(controllers.Pod, p)
		w.Advance(time.Second)
		for s := range projections.List[*discoveryv1.EndpointSlice](w.Snapshot(), "discovery.k8s.io", "endpointslices", "default") {
			if len(s.Endpoints) != 1 || s.Endpoints[0].Hostname == nil || *s.Endpoints[0].Hostname != "db-0" || *s.Endpoints[0].Zone != "z1" || *s.Endpoints[0].NodeName != "n1" {
				t.Errorf("endpoints are %+v", s.Endpoints)
			}
			if _, ok := s.Labels[corev1.IsHeadlessService]; !ok || s.Labels["team"] != "a" {
				t.Errorf("labels are %v", s.Labels)
			}
		}
	})
}

func TestSlicesHoldAHundred(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		defer w.Stop()
		w.Schedule("n1")
		w.Create(controllers.Service, service("web", intstr.FromInt32(80)))
		for i := range 250 {
			w.Create(controllers.Pod, pod(fmt.Sprintf("p%03d", i), 80))
		}
		w.Advance(time.Minute)
		var sizes []int
		for s := range projections.List[*discoveryv1.EndpointSlice](w.Snapshot(), "discovery.k8s.io", "endpointslices", "default") {
			sizes = append(sizes, len(s.Endpoints))
		}
		slices.Sort(sizes)
		if fmt.Sprint(sizes) != "[50 100 100]" {
			t.Errorf("slices hold %v endpoints", sizes)
		}
	})
}

// TestTrafficDistribution: hints follow the service, the zone of the node and readiness.
func TestTrafficDistribution(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		defer w.Stop()
		w.Schedule("n1")
		w.Create(controllers.Service, service("web", intstr.FromInt32(80)))
		w.Create(controllers.Pod, pod("a", 80))
		key := controllers.Service.Key("default", "web")
		hints := func(patched events.Key, patch string) string {
			w.Patch(patched, "%s", patch)
			w.Advance(time.Second)
			var out []string
			for s := range projections.List[*discoveryv1.EndpointSlice](w.Snapshot(), "discovery.k8s.io", "endpointslices", "default") {
				for _, e := range s.Endpoints {
					if e.Hints == nil {
						out = append(out, "none")
						continue
					}
					out = append(out, fmt.Sprint(e.Hints.ForZones, e.Hints.ForNodes))
				}
			}
			return strings.Join(out, " ")
		}
		for _, step := range []struct {
			patched     events.Key
			patch, want string
		}{
			{key, `{"metadata":{"labels":{"b":"c"}}}`, "none"},
			{key, `{"spec":{"trafficDistribution":"PreferSameZone"}}`, "[{z1}] []"},
			{key, `{"spec":{"trafficDistribution":"PreferClose"}}`, "[{z1}] []"},
			{key, `{"spec":{"trafficDistribution":"PreferSameNode"}}`, "[{z1}] [{n1}]"},
			{controllers.Node.Key("", "n1"), `{"metadata":{"labels":{"topology.kubernetes.io/zone":"z2"}}}`, "[{z2}] [{n1}]"},
			{controllers.Node.Key("", "n1"), `{"metadata":{"labels":null}}`, "[] [{n1}]"},
			{key, `{"spec":{"trafficDistribution":"PreferSameZone"}}`, "none"},
		} {
			if got := hints(step.patched, step.patch); got != step.want {
				t.Errorf("after %s hints are %s, not %s", step.patch, got, step.want)
			}
		}
	})
}
