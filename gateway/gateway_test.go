package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/reckon-project/reckon/bus/memory"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/gateway"
	"github.com/reckon-project/reckon/gateway/gatewaytest"
)

func client(t *testing.T, c *rest.Config) *kubernetes.Clientset {
	t.Helper()
	cs, err := kubernetes.NewForConfig(c)
	if err != nil {
		t.Fatal(err)
	}
	return cs
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// eventually waits for f; the test's own deadline bounds it.
func eventually(t *testing.T, what string, f func(context.Context) (bool, error)) {
	t.Helper()
	if err := wait.PollUntilContextTimeout(t.Context(), 20*time.Millisecond, 30*time.Second, true, f); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func makePod(name string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "example/app"}}},
	}
}

func TestGateway(t *testing.T) {
	c := gatewaytest.Start(t)
	admin := client(t, c.Admin)
	if _, err := admin.CoreV1().ServiceAccounts("default").Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		run  func(*testing.T, *gatewaytest.Cluster, *kubernetes.Clientset)
	}{
		{"what a cluster begins with", testBeginnings},
		{"anybody can find the cluster", testClusterInfo},
		{"two clients change one object at once", testConflict},
		{"server-side apply", testApply},
		{"custom resources and policies", testCustom},
		{"admission webhooks", testWebhooks},
		{"an API server behind an APIService", testAggregated},
		{"services get addresses and ports", testServices},
		{"who may do what", testAccess},
		{"the API on the bus", testBus},
		{"where a write came from", testOrigin},
		{"events told by the log", testNews},
		{"requests to a node", testNode},
		{"heartbeats are leases", testNodeLeases},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, c, admin) })
	}
}

func testBeginnings(t *testing.T, c *gatewaytest.Cluster, admin *kubernetes.Clientset) {
	namespaces := must(admin.CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{}))(t)
	var names []string
	for _, n := range namespaces.Items {
		names = append(names, n.Name)
	}
	if want := []string{"default", "kube-node-lease", "kube-public", "kube-system"}; !slices.Equal(names, want) {
		t.Errorf("namespaces are %v, want %v", names, want)
	}
	eventually(t, "the kubernetes service leads here", func(ctx context.Context) (bool, error) {
		_, err := admin.DiscoveryV1().EndpointSlices("default").Get(ctx, "kubernetes", metav1.GetOptions{})
		return err == nil, nil
	})
	service := must(admin.CoreV1().Services("default").Get(t.Context(), "kubernetes", metav1.GetOptions{}))(t)
	if service.Spec.ClusterIP != "10.96.0.1" {
		t.Errorf("the kubernetes service is at %s", service.Spec.ClusterIP)
	}
	slice := must(admin.DiscoveryV1().EndpointSlices("default").Get(t.Context(), "kubernetes", metav1.GetOptions{}))(t)
	if len(slice.Endpoints) != 1 {
		t.Errorf("the kubernetes service leads to %v", slice.Endpoints)
	}
	for _, path := range []string{"/readyz", "/livez", "/healthz", "/metrics", "/openapi/v2", "/openapi/v3", "/version"} {
		if _, err := admin.RESTClient().Get().AbsPath(path).DoRaw(t.Context()); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	if v := must(admin.Discovery().ServerVersion())(t); !strings.HasPrefix(v.GitVersion, gateway.KubernetesVersion) {
		t.Errorf("version %s", v.GitVersion)
	}
	_, resources, err := admin.Discovery().ServerGroupsAndResources()
	if err != nil {
		t.Fatal(err)
	}
	if len(resources) < 20 {
		t.Errorf("only %d group versions are served", len(resources))
	}
	must(admin.RbacV1().ClusterRoles().Get(t.Context(), "system:node", metav1.GetOptions{}))(t)
	must(admin.SchedulingV1().PriorityClasses().Get(t.Context(), "system-node-critical", metav1.GetOptions{}))(t)
	info := must(os.Stat(c.Gateway.Kubeconfig()))(t)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the kubeconfig has mode %v", info.Mode())
	}
}

func testConflict(t *testing.T, c *gatewaytest.Cluster, admin *kubernetes.Clientset) {
	maps := admin.CoreV1().ConfigMaps("default")
	made := must(maps.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "shared"}}, metav1.CreateOptions{}))(t)
	var conflicts, done int
	results := make(chan error)
	for i := range 2 {
		go func() {
			m := made.DeepCopy()
			m.Data = map[string]string{"by": fmt.Sprint(i)}
			_, err := maps.Update(context.Background(), m, metav1.UpdateOptions{})
			results <- err
		}()
	}
	for range 2 {
		switch err := <-results; {
		case err == nil:
			done++
		case apierrors.IsConflict(err):
			conflicts++
		default:
			t.Error(err)
		}
	}
	if conflicts != 1 || done != 1 {
		t.Errorf("%d updates were done and %d conflicted", done, conflicts)
	}
}

func testApply(t *testing.T, c *gatewaytest.Cluster, admin *kubernetes.Clientset) {
	apply := func(manager, value string) error {
		patch := fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"applied"},"data":{"k":%q}}`, value)
		_, err := admin.CoreV1().ConfigMaps("default").Patch(t.Context(), "applied", types.ApplyPatchType, []byte(patch), metav1.PatchOptions{FieldManager: manager})
		return err
	}
	if err := apply("one", "a"); err != nil {
		t.Fatal(err)
	}
	if err := apply("two", "b"); !apierrors.IsConflict(err) {
		t.Errorf("applying over another manager's field: %v", err)
	}
	if err := apply("one", "c"); err != nil {
		t.Error(err)
	}
	_, err := admin.CoreV1().ConfigMaps("default").Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "dry"}}, metav1.CreateOptions{DryRun: []string{"All"}})
	if err != nil {
		t.Error(err)
	}
	if _, err := admin.CoreV1().ConfigMaps("default").Get(t.Context(), "dry", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("a dry run left an object: %v", err)
	}
	table, err := admin.RESTClient().Get().AbsPath("/api/v1/namespaces/default/configmaps").SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io").DoRaw(t.Context())
	if err != nil || !strings.Contains(string(table), "columnDefinitions") {
		t.Errorf("table: %s %v", table, err)
	}
}

func testServices(t *testing.T, c *gatewaytest.Cluster, admin *kubernetes.Clientset) {
	make := func(name string, port int32) (*corev1.Service, error) {
		return admin.CoreV1().Services("default").Create(t.Context(), &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, Ports: []corev1.ServicePort{{Port: 80, NodePort: port}}},
		}, metav1.CreateOptions{})
	}
	one := must(make("one", 0))(t)
	if _, services, err := net.ParseCIDR("10.96.0.0/16"); err != nil || !services.Contains(net.ParseIP(one.Spec.ClusterIP)) {
		t.Errorf("address %s", one.Spec.ClusterIP)
	}
	if _, err := make("two", one.Spec.Ports[0].NodePort); !apierrors.IsInvalid(err) {
		t.Errorf("a node port was given twice: %v", err)
	}
	must(make("three", 0))(t)
}

func testAccess(t *testing.T, c *gatewaytest.Cluster, admin *kubernetes.Clientset) {
	anonymous := rest.AnonymousClientConfig(c.Admin)
	if _, err := client(t, anonymous).CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("anonymous listing of pods: %v", err)
	}
	if _, err := client(t, anonymous).RESTClient().Get().AbsPath("/healthz").DoRaw(t.Context()); err != nil {
		t.Errorf("anonymous health check: %v", err)
	}
	seconds := int64(3600)
	token, err := admin.CoreV1().ServiceAccounts("default").CreateToken(t.Context(), "default", tokenRequest(seconds), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	account := rest.AnonymousClientConfig(c.Admin)
	account.BearerToken = token.Status.Token
	who := must(client(t, account).AuthenticationV1().SelfSubjectReviews().Create(t.Context(), selfReview(), metav1.CreateOptions{}))(t)
	if who.Status.UserInfo.Username != "system:serviceaccount:default:default" {
		t.Errorf("the token is %s's", who.Status.UserInfo.Username)
	}
	if _, err := client(t, account).CoreV1().Secrets("default").List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("a service account without rights listing secrets: %v", err)
	}
}

// TestRestart: keys, certificates and objects are there after a restart; a stop
// ends the watches.
func TestRestart(t *testing.T) {
	b, dir := memory.New(time.Now), t.TempDir()
	var ca [2][]byte
	var open []watch.Interface
	for i := range ca {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			c := gatewaytest.StartOn(t, b, dir)
			ca[i] = must(os.ReadFile(filepath.Join(dir, "pki", "ca.crt")))(t)
			maps := client(t, c.Admin).CoreV1().ConfigMaps("default")
			if i == 0 {
				must(maps.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "kept"}}, metav1.CreateOptions{}))(t)
			}
			must(maps.Get(t.Context(), "kept", metav1.GetOptions{}))(t)
			open = append(open, must(maps.Watch(context.Background(), metav1.ListOptions{}))(t))
		})
	}
	for _, w := range open {
		for range w.ResultChan() {
		}
	}
	if string(ca[0]) != string(ca[1]) {
		t.Error("the certificate authority changed")
	}
}

func testBus(t *testing.T, c *gatewaytest.Cluster, admin *kubernetes.Clientset) {
	as := func(identity string) *kubernetes.Clientset {
		return client(t, &rest.Config{Host: "http://bus", Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return c.Bus.Dial(ctx, "api."+events.EncodeToken(identity)+".conn")
			},
		}})
	}
	node := as("node:n1")
	if _, err := node.CoreV1().Nodes().Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := node.CoreV1().Nodes().Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n2"}}, metav1.CreateOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("a node made another: %v", err)
	}
	if _, err := node.CoreV1().Secrets("default").List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("a node listed secrets: %v", err)
	}
	must(as("user:admin").CoreV1().Secrets("").List(t.Context(), metav1.ListOptions{}))(t)
	said := func(typ string) error {
		return as("user:admin").CoreV1().RESTClient().Patch(types.MergePatchType).Resource("nodes").Name("n1").
			SetHeader(gateway.HeaderType, typ).SetHeader(gateway.HeaderNote, "by hand").SetHeader(gateway.HeaderEpoch, "7").
			Body([]byte(`{"metadata":{"labels":{"said":"` + typ + `"}}}`)).Do(t.Context()).Error()
	}
	if err := said(events.Updated); err != nil {
		t.Error(err)
	}
	e := must(c.Bus.Log().Last(t.Context(), events.Key{Resource: "nodes", Name: "n1"}.Subject()))(t)
	if e.Note != "by hand" || e.Epoch != 0 {
		t.Errorf("an administrator's words became %+v", e)
	}
	if err := said(events.Scheduled); !apierrors.IsBadRequest(err) {
		t.Errorf("an administrator wrote an event of the scheduler's: %v", err)
	}
	if _, err := as("user:somebody").CoreV1().Nodes().List(t.Context(), metav1.ListOptions{}); err == nil {
		t.Error("an identity that nobody has was served")
	}
}

func testOrigin(t *testing.T, c *gatewaytest.Cluster, admin *kubernetes.Clientset) {
	const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	headers := roundTripper(func(next http.RoundTripper, r *http.Request) (*http.Response, error) {
		r = r.Clone(r.Context())
		for k, v := range map[string]string{gateway.HeaderCause: "3,5", gateway.HeaderReason: "Testing", gateway.HeaderNote: "a note", "Traceparent": trace} {
			r.Header.Set(k, v)
		}
		return next.RoundTrip(r)
	})
	create := func(cs *kubernetes.Clientset, name string) *events.Event {
		must(cs.CoreV1().ConfigMaps("default").Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}))(t)
		return must(c.Bus.Log().Last(t.Context(), events.Key{Resource: "configmaps", Namespace: "default", Name: name}.Subject()))(t)
	}
	controller := &user.DefaultInfo{Name: "system:serviceaccount:kube-system:some-controller", Groups: []string{user.SystemPrivilegedGroup}}
	e := create(client(t, &rest.Config{Host: "https://localhost", Transport: headers(c.Gateway.Transport(controller))}), "inside")
	if e.Reason != "Testing" || e.Note != "a note" || !slices.Equal(e.Cause, []uint64{3, 5}) || e.Traceparent != trace || e.Actor != controller.Name {
		t.Errorf("from inside: %+v", e)
	}
	outside := rest.CopyConfig(c.Admin)
	outside.Wrap(headers)
	e = create(client(t, outside), "outside")
	if e.Reason == "Testing" || e.Note == "a note" || len(e.Cause) > 0 || e.Traceparent != trace || e.Actor != "admin" {
		t.Errorf("from outside: %+v", e)
	}
}

// roundTripper makes a wrapper of transports from a function.
func roundTripper(f func(http.RoundTripper, *http.Request) (*http.Response, error)) func(http.RoundTripper) http.RoundTripper {
	return func(next http.RoundTripper) http.RoundTripper { return wrapped{next, f} }
}

type wrapped struct {
	next http.RoundTripper
	f    func(http.RoundTripper, *http.Request) (*http.Response, error)
}

func (w wrapped) RoundTrip(r *http.Request) (*http.Response, error) { return w.f(w.next, r) }

func testNode(t *testing.T, c *gatewaytest.Cluster, admin *kubernetes.Clientset) {
	listener := must(c.Bus.Listen(t.Context(), "tunnel.n1.conn"))(t)
	agent := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/exec/default/talker/c" {
			serveExec(w, r)
			return
		}
		fmt.Fprintf(w, "%s %s", r.Method, r.URL.RequestURI())
	})}
	go func() {
		if err := agent.Serve(listener); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			t.Errorf("agent: %v", err)
		}
	}()
	defer agent.Close()

	pods := admin.CoreV1().Pods("default")
	must(pods.Create(t.Context(), makePod("talker"), metav1.CreateOptions{}))(t)
	if err := pods.Bind(t.Context(), &corev1.Binding{ObjectMeta: metav1.ObjectMeta{Name: "talker"}, Target: corev1.ObjectReference{Kind: "Node", Name: "n1"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	logs := must(pods.GetLogs("talker", &corev1.PodLogOptions{}).DoRaw(t.Context()))(t)
	if string(logs) != "GET /containerLogs/default/talker/c" {
		t.Errorf("logs: %s", logs)
	}
	stats := must(admin.CoreV1().RESTClient().Get().Resource("nodes").Name("n1").SubResource("proxy").Suffix("stats/summary").DoRaw(t.Context()))(t)
	if string(stats) != "GET /stats/summary" {
		t.Errorf("proxy: %s", stats)
	}
	for name, executor := range executors(t, c.Admin, pods, "talker") {
		var out strings.Builder
		if err := executor.StreamWithContext(t.Context(), streamOptions(strings.NewReader("hello"), &out)); err != nil {
			t.Errorf("exec over %s: %v", name, err)
		}
		if out.String() != "c: hello" {
			t.Errorf("exec over %s: %q", name, out.String())
		}
	}
	if _, err := pods.GetLogs("talker", &corev1.PodLogOptions{Container: "none"}).DoRaw(t.Context()); !apierrors.IsBadRequest(err) {
		t.Errorf("logs of a container that isn't there: %v", err)
	}
}
