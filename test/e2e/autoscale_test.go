package e2e

import (
	"crypto/tls"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	certutil "k8s.io/client-go/util/cert"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	aggregatorclient "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset"
)

// TestAutoscale: kubectl autoscale, and a metrics API that says what the pods use:
// a Deployment on pretended nodes gets as many replicas as that asks for.
func TestAutoscale(t *testing.T) {
	s := newServer(t)
	client := s.start(t)
	c := &cluster{}
	c.servers[0], c.clients[0] = s, client
	c.startNodes(t)
	labels := map[string]string{"app": "web"}
	two := int32(2)
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: appsv1.DeploymentSpec{
		Replicas: &two, Selector: &metav1.LabelSelector{MatchLabels: labels},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{
			Containers: []corev1.Container{{Name: "web", Image: "example.com/web:1", Resources: corev1.ResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m")},
			}}},
		}},
	}}
	if _, err := client.AppsV1().Deployments("default").Create(t.Context(), d, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	c.awaitReplicas(t, client, 2)
	serveMetrics(t, s, client)
	for _, args := range []string{"autoscale deployment web --cpu=50% --min=2 --max=3", "get hpa web"} {
		out, err := exec.Command(binaries.reckon, append([]string{"kubectl", "--kubeconfig", s.kubeconfig()}, strings.Fields(args)...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("kubectl %s: %v\n%s", args, err, out)
		}
	}
	c.awaitReplicas(t, client, 3) // each uses twice the target: four, but for the maximum
	want := []string{"SuccessfulRescale", "New size: 3; reason: cpu resource utilization (percentage of request) above target", "TooManyReplicas"}
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		described := eventuallyOutput(t, "kubectl", "--kubeconfig", s.kubeconfig(), "describe", "hpa", "web")
		if !slices.ContainsFunc(want, func(text string) bool { return !strings.Contains(described, text) }) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("kubectl describe doesn't say all of %q:\n%s", want, described)
		}
	}
}

// serveMetrics registers an API server that says that every pod uses 100m of CPU.
func serveMetrics(t *testing.T, s *server, client *kubernetes.Clientset) {
	t.Helper()
	certificate, key, err := certutil.GenerateSelfSignedCertKey("metrics.default.svc", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	api := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		var answer any = metav1.APIResourceList{
			TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: "metrics.k8s.io/v1beta1",
			APIResources: []metav1.APIResource{{Name: "pods", Kind: "PodMetrics", Namespaced: true, Verbs: []string{"get", "list"}}},
		}
		if r.URL.Path == "/apis/metrics.k8s.io/v1beta1/namespaces/default/pods" {
			pods, err := client.CoreV1().Pods("default").List(r.Context(), metav1.ListOptions{LabelSelector: r.URL.Query().Get("labelSelector")})
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			var items []any
			for i := range pods.Items {
				items = append(items, map[string]any{
					"metadata": map[string]any{"name": pods.Items[i].Name}, "timestamp": metav1.Now(), "window": "0s",
					"containers": []any{map[string]any{"name": "web", "usage": map[string]string{"cpu": "100m"}}},
				})
			}
			answer = map[string]any{"kind": "PodMetricsList", "apiVersion": "metrics.k8s.io/v1beta1", "items": items}
		}
		json.NewEncoder(w).Encode(answer)
	}))
	api.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	api.StartTLS()
	t.Cleanup(api.Close)
	address, err := url.Parse(api.URL)
	if err != nil {
		t.Fatal(err)
	}
	_, text, err := net.SplitHostPort(address.Host)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	port := int32(n)
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "metrics"}, Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "localhost"}}
	if _, err := client.CoreV1().Services("default").Create(t.Context(), service, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	services, err := aggregatorclient.NewForConfig(s.config(t))
	if err != nil {
		t.Fatal(err)
	}
	takeOver(t, services, apiregistrationv1.APIServiceSpec{
		Group: "metrics.k8s.io", Version: "v1beta1", GroupPriorityMinimum: 100, VersionPriority: 100, CABundle: certificate,
		Service: &apiregistrationv1.ServiceReference{Namespace: "default", Name: "metrics", Port: &port},
	})
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		answer, err := client.RESTClient().Get().AbsPath("/apis/metrics.k8s.io/v1beta1/namespaces/default/pods").DoRaw(t.Context())
		if err == nil && strings.Contains(string(answer), `"cpu":"100m"`) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the metrics API never answered: %s, %v", answer, err)
		}
	}
}

// takeOver has metrics.k8s.io served by somebody else, as kubectl apply does with
// what metrics-server comes with.
func takeOver(t *testing.T, services *aggregatorclient.Clientset, to apiregistrationv1.APIServiceSpec) {
	t.Helper()
	api := services.ApiregistrationV1().APIServices()
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		have, err := api.Get(t.Context(), "v1beta1.metrics.k8s.io", metav1.GetOptions{})
		if err == nil {
			have.Spec = to
			_, err = api.Update(t.Context(), have, metav1.UpdateOptions{})
		}
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the metrics API wasn't taken over: %v", err)
		}
	}
}
