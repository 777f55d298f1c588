package loadbalancer_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/controllers/endpointslice"
	"github.com/reckon-project/reckon/controllers/loadbalancer"
	"github.com/reckon-project/reckon/projections"
)

func start(t *testing.T) *controllertest.World {
	w := controllertest.NewWorld(t)
	w.Run(loadbalancer.New(6443), endpointslice.New())
	for i, name := range []string{"n1", "n2"} {
		w.Create(controllers.Node, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}})
		w.PatchStatus(controllers.Node.Key("", name), `{"status":{"conditions":[{"type":"Ready","status":"True"}],"addresses":[{"type":"InternalIP","address":"192.168.0.%d"},{"type":"Hostname","address":%q}]}}`, i+1, name)
	}
	return w
}

func service(w *controllertest.World, name string, port int32, change func(*corev1.Service)) {
	svc := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}
	svc.Spec = corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, Selector: map[string]string{"app": name}, Ports: []corev1.ServicePort{{Name: "http", Port: port}}}
	if change != nil {
		change(svc)
	}
	w.Create(controllers.Service, svc)
	w.Advance(time.Second)
}

func show(w *controllertest.World) string {
	var lines []string
	for svc := range projections.List[*corev1.Service](w.Snapshot(), "", "services", "default") {
		var ips []string
		for _, in := range svc.Status.LoadBalancer.Ingress {
			ips = append(ips, in.IP)
		}
		lines = append(lines, fmt.Sprintf("%s %v %v", svc.Name, ips, svc.Finalizers))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func TestAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		defer w.Stop()
		script := controllertest.NewTranscript(w, "addresses")
		say := func(name string) {
			w.Advance(time.Second)
			script.Say(name, show(w))
		}
		web, n1, n2 := controllers.Service.Key("default", "web"), controllers.Node.Key("", "n1"), controllers.Node.Key("", "n2")
		service(w, "web", 80, nil)
		service(w, "plain", 80, func(svc *corev1.Service) { svc.Spec.Type = corev1.ServiceTypeClusterIP })
		service(w, "theirs", 80, func(svc *corev1.Service) { class := "example.com/lb"; svc.Spec.LoadBalancerClass = &class })
		say("one of the cluster's, and two that aren't")
		service(w, "also", 80, nil)
		service(w, "api", 6443, nil)
		service(w, "udp", 80, func(svc *corev1.Service) { svc.Spec.Ports[0].Protocol = corev1.ProtocolUDP })
		say("the same port, the API's, and one of UDP")
		w.PatchStatus(n1, `{"status":{"conditions":[{"type":"Ready","status":"Unknown"}]}}`)
		w.PatchStatus(n2, `{"status":{"addresses":[{"type":"InternalIP","address":"192.168.0.2"},{"type":"ExternalIP","address":"203.0.113.7"}]}}`)
		say("a node is lost, the other is known outside")
		w.PatchStatus(n1, `{"status":{"conditions":[{"type":"Ready","status":"True"}]}}`)
		w.Patch(n2, `{"metadata":{"labels":{"node.kubernetes.io/exclude-from-external-load-balancers":""}}}`)
		say("it is back, the other is excluded")
		w.Patch(web, `{"spec":{"type":"ClusterIP"}}`)
		say("the first gives up its port")
		w.Delete(controllers.Service.Key("default", "also"), "")
		say("the second is deleted")
		script.Done()
	})
}

// TestLocal: only nodes with a ready endpoint take traffic that has to stay there.
func TestLocal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		defer w.Stop()
		w.Schedule("n2")
		service(w, "web", 80, func(svc *corev1.Service) { svc.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal })
		if got := show(w); !strings.HasPrefix(got, "web [] ") {
			t.Errorf("without a pod: %s", got)
		}
		w.Create(controllers.Pod, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "a", Labels: map[string]string{"app": "web"}}})
		w.Advance(time.Second)
		if got := show(w); !strings.HasPrefix(got, "web [192.168.0.2] ") {
			t.Errorf("with a pod on n2: %s", got)
		}
	})
}
