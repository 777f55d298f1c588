package gateway_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	certutil "k8s.io/client-go/util/cert"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	aggregatorclient "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset"

	"github.com/reckon-project/reckon/gateway/gatewaytest"
)

// reports is an API server of somebody else's: it serves reports.example.com/v1
// to the gateway, which it knows by its front proxy certificate.
type reports struct {
	t    *testing.T
	user chan string // who asked for a report, and in which groups
}

// startReports serves on loopback; ca verifies it as reports.default.svc.
func startReports(t *testing.T, c *gatewaytest.Cluster) (r *reports, port int32, ca []byte) {
	t.Helper()
	certificate, key, err := certutil.GenerateSelfSignedCertKey("reports.default.svc", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	proxies := x509.NewCertPool()
	front := filepath.Join(filepath.Dir(c.Gateway.Kubeconfig()), "pki", "front-proxy-ca.crt")
	if !proxies.AppendCertsFromPEM(must(os.ReadFile(front))(t)) {
		t.Fatal("no front proxy CA")
	}
	r = &reports{t: t, user: make(chan string, 100)}
	s := httptest.NewUnstartedServer(r)
	s.TLS = &tls.Config{
		Certificates: []tls.Certificate{must(tls.X509KeyPair(certificate, key))(t)},
		ClientAuth:   tls.VerifyClientCertIfGiven, ClientCAs: proxies,
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	_, text, err := net.SplitHostPort(must(url.Parse(s.URL))(t).Host)
	if err != nil {
		t.Fatal(err)
	}
	return r, int32(must(strconv.Atoi(text))(t)), certificate
}

func (r *reports) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	answer := func(v any) {
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(v); err != nil {
			r.t.Errorf("reports: %v", err)
		}
	}
	const one = "/apis/reports.example.com/v1/namespaces/default/reports/one"
	switch req.URL.Path {
	case "/apis/reports.example.com/v1":
		answer(metav1.APIResourceList{
			TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: "reports.example.com/v1",
			APIResources: []metav1.APIResource{{Name: "reports", SingularName: "report", Kind: "Report", Namespaced: true, Verbs: []string{"get"}}},
		})
	case one:
		if req.TLS == nil || len(req.TLS.VerifiedChains) == 0 || req.TLS.PeerCertificates[0].Subject.CommonName != "front-proxy-client" {
			http.Error(w, "I believe the front proxy only", http.StatusUnauthorized)
			return
		}
		groups := req.Header.Values("X-Remote-Group")
		slices.Sort(groups)
		r.user <- req.Header.Get("X-Remote-User")
		answer(map[string]any{"apiVersion": "reports.example.com/v1", "kind": "Report", "metadata": map[string]any{"name": "one"}, "groups": groups})
	default:
		http.NotFound(w, req)
	}
}

func testAggregated(t *testing.T, c *gatewaytest.Cluster, admin *kubernetes.Clientset) {
	server, port, ca := startReports(t, c)
	must(admin.CoreV1().Services("default").Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "reports"}, Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "localhost"},
	}, metav1.CreateOptions{}))(t)
	services := must(aggregatorclient.NewForConfig(c.Admin))(t).ApiregistrationV1().APIServices()
	must(services.Create(t.Context(), &apiregistrationv1.APIService{
		ObjectMeta: metav1.ObjectMeta{Name: "v1.reports.example.com"},
		Spec: apiregistrationv1.APIServiceSpec{
			Group: "reports.example.com", Version: "v1", GroupPriorityMinimum: 1000, VersionPriority: 10, CABundle: ca,
			Service: &apiregistrationv1.ServiceReference{Namespace: "default", Name: "reports", Port: &port},
		},
	}, metav1.CreateOptions{}))(t)
	eventually(t, "the API service is available", func(ctx context.Context) (bool, error) {
		s, err := services.Get(ctx, "v1.reports.example.com", metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		for _, condition := range s.Status.Conditions {
			if condition.Type == apiregistrationv1.Available {
				return condition.Status == apiregistrationv1.ConditionTrue, nil
			}
		}
		return false, nil
	})
	resource := schema.GroupVersionResource{Group: "reports.example.com", Version: "v1", Resource: "reports"}
	report := must(must(dynamic.NewForConfig(c.Admin))(t).Resource(resource).Namespace("default").Get(t.Context(), "one", metav1.GetOptions{}))(t)
	if who := <-server.user; who != "admin" {
		t.Errorf("the server behind was asked by %q", who)
	}
	if groups := report.Object["groups"]; !slices.Contains(groups.([]any), "system:masters") {
		t.Errorf("its caller's groups are %v", groups)
	}
	eventually(t, "discovery lists its resources", func(ctx context.Context) (bool, error) {
		list, err := admin.Discovery().ServerResourcesForGroupVersion("reports.example.com/v1")
		return err == nil && list.APIResources[0].Kind == "Report", nil
	})
	eventually(t, "so does the document of all groups", func(ctx context.Context) (bool, error) {
		groups, err := admin.Discovery().ServerGroups()
		if err != nil {
			return false, err
		}
		return slices.ContainsFunc(groups.Groups, func(g metav1.APIGroup) bool { return g.Name == "reports.example.com" }), nil
	})
	if err := services.Delete(t.Context(), "v1.reports.example.com", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "without its API service it is gone", func(ctx context.Context) (bool, error) {
		_, err := admin.RESTClient().Get().AbsPath("/apis/reports.example.com/v1").DoRaw(ctx)
		return apierrors.IsNotFound(err), nil
	})
}
