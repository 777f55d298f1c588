package endpointslicemirroring_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/controllers/endpointslicemirroring"
	"github.com/reckon-project/reckon/controllers/garbage"
	"github.com/reckon-project/reckon/projections"
)

var key = controllers.Endpoints.Key("default", "db")

func addresses(ips ...string) (out []corev1.EndpointAddress) {
	for _, ip := range ips {
		out = append(out, corev1.EndpointAddress{IP: ip})
	}
	return out
}

func subset(port int32, ips ...string) corev1.EndpointSubset {
	return corev1.EndpointSubset{Addresses: addresses(ips...), Ports: []corev1.EndpointPort{{Name: fmt.Sprint("p", port), Port: port, Protocol: corev1.ProtocolTCP}}}
}

func start(t *testing.T, subsets ...corev1.EndpointSubset) *controllertest.World {
	w := controllertest.NewWorld(t)
	w.Run(endpointslicemirroring.New(), garbage.New())
	w.Create(controllers.Service, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "db"}})
	w.Create(controllers.Endpoints, &corev1.Endpoints{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "db", Labels: map[string]string{"team": "a"}, Annotations: map[string]string{
			"note": "mine", corev1.LastAppliedConfigAnnotation: "{}", corev1.EndpointsLastChangeTriggerTime: "then",
		}},
		Subsets: subsets,
	})
	w.Settle()
	return w
}

func show(w *controllertest.World) string {
	var lines []string
	for s := range projections.List[*discoveryv1.EndpointSlice](w.Snapshot(), "discovery.k8s.io", "endpointslices", "default") {
		var parts []string
		for _, p := range s.Ports {
			parts = append(parts, fmt.Sprint(*p.Port))
		}
		for _, e := range s.Endpoints {
			parts = append(parts, fmt.Sprintf("%s=%v", e.Addresses[0], *e.Conditions.Ready))
		}
		if len(parts) > 5 {
			parts = []string{fmt.Sprint(len(s.Endpoints), " endpoints")}
		}
		lines = append(lines, fmt.Sprintf("%s %s of %s: %s", s.AddressType, s.Labels["team"], s.OwnerReferences[0].Kind, strings.Join(parts, " ")))
		if s.Labels[discoveryv1.LabelManagedBy] != "endpointslicemirroring-controller.k8s.io" || s.Labels[discoveryv1.LabelServiceName] != "db" || fmt.Sprint(s.Annotations) != "map[note:mine]" {
			lines = append(lines, fmt.Sprintf("labels %v annotations %v", s.Labels, s.Annotations))
		}
	}
	return strings.Join(lines, "\n")
}

func TestMirror(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		both := subset(80, "10.0.0.2", "10.0.0.1")
		both.NotReadyAddresses = addresses("10.0.0.3")
		w := start(t, both, subset(443, "10.0.0.1"), subset(80, "fd00::1"))
		defer w.Stop()
		script := controllertest.NewTranscript(w, "mirror")
		step := func(name string) {
			w.Settle()
			script.Say(name, show(w))
		}
		step("addresses of two families and two ports")
		w.Patch(key, `{"subsets":[{"addresses":[{"ip":"10.0.0.9"}],"ports":[{"name":"p80","port":80,"protocol":"TCP"}]}]}`)
		step("one is left")
		w.Patch(controllers.Service.Key("default", "db"), `{"spec":{"selector":{"app":"db"}}}`)
		step("the service has a selector now")
		w.Patch(controllers.Service.Key("default", "db"), `{"spec":{"selector":null}}`)
		step("and hasn't")
		w.Patch(key, `{"metadata":{"labels":{"endpointslice.kubernetes.io/skip-mirror":"true"}}}`)
		step("not to be mirrored")
		w.Patch(key, `{"metadata":{"labels":{"endpointslice.kubernetes.io/skip-mirror":null}}}`)
		step("to be mirrored")
		w.Delete(key, "")
		step("deleted")
		script.Done()
	})
}

func TestTooManyAndInvalid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ips := []string{"db.example.com"}
		for i := range 1002 {
			ips = append(ips, fmt.Sprintf("10.0.%d.%d", i/200, i%200+1))
		}
		w := start(t, subset(80, ips...))
		defer w.Stop()
		script := controllertest.NewTranscript(w, "many")
		script.Step("a name and 1,002 addresses")
		script.Say("then", show(w))
		script.Done()
	})
}
