package gateway_test

import (
	"context"
	"net/http"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/reckon-project/reckon/gateway/gatewaytest"
)

// TestNodeRights: who may read one thing of a node reads it through nodes/proxy, and
// nothing else.
func TestNodeRights(t *testing.T) {
	c := gatewaytest.Start(t)
	admin := client(t, c.Admin)
	serveNode(t, c, admin)
	paths := map[string]string{ // and the right that each takes
		"metrics": "metrics", "metrics/cadvisor": "metrics", "metrics/resource/": "metrics", "stats/summary": "stats", "logs/kern.log": "log", "healthz": "healthz",
		"configz": "configz", "pods": "pods", "pods/": "pods", "runningpods/": "pods", "checkpoint/default/web/main": "checkpoint",
		"run/default/web/main": "proxy", "exec/default/web/main": "proxy", "containerLogs/default/web/main": "proxy", "metricsx": "proxy",
	}
	for _, right := range []string{"metrics", "stats", "log", "healthz", "configz", "pods", "checkpoint", "proxy"} {
		as := "may-" + right
		grant(t, admin, as, "nodes/"+right)
		user := rest.CopyConfig(c.Admin)
		user.Impersonate.UserName = as
		read := func(ctx context.Context, path string) error {
			return client(t, user).RESTClient().Get().AbsPath("/api/v1/nodes/n1/proxy/" + path).Do(ctx).Error()
		}
		for path, takes := range paths {
			if right == takes || right == "proxy" {
				eventually(t, as+" reads "+path, func(ctx context.Context) (bool, error) { return read(ctx, path) == nil, nil })
			} else if err := read(t.Context(), path); !apierrors.IsForbidden(err) {
				t.Errorf("%s reads %s: %v", as, path, err)
			}
		}
		if right == "proxy" {
			continue
		}
		for _, path := range []string{"/api/v1/nodes/n1/proxy/" + right + "/../exec/default/web/main", "/api/v1/nodes/n1/proxy/" + right + "/%2e%2e/run", "/api/v1/nodes/n1/proxy/" + right + "//../run"} {
			if code := rawStatus(t, user, path); code != http.StatusForbidden {
				t.Errorf("%s at %s is answered %d", as, path, code)
			}
		}
	}
}

// rawStatus asks for a path as it is written.
func rawStatus(t *testing.T, c *rest.Config, path string) int {
	t.Helper()
	httpClient := must(rest.HTTPClientFor(c))(t)
	httpClient.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	request := must(http.NewRequestWithContext(t.Context(), http.MethodGet, c.Host+path, nil))(t)
	answer := must(httpClient.Do(request))(t)
	answer.Body.Close()
	return answer.StatusCode
}

// serveNode makes node n1, whose agent answers everything.
func serveNode(t *testing.T, c *gatewaytest.Cluster, admin *kubernetes.Clientset) {
	t.Helper()
	must(admin.CoreV1().Nodes().Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}}, metav1.CreateOptions{}))(t)
	l := must(c.Bus.Listen(t.Context(), "tunnel.n1.conn"))(t)
	server := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
}

// grant lets a user get one resource.
func grant(t *testing.T, admin *kubernetes.Clientset, user, resource string) {
	t.Helper()
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: user}, Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{resource}, Verbs: []string{"get"}}}}
	must(admin.RbacV1().ClusterRoles().Create(t.Context(), role, metav1.CreateOptions{}))(t)
	binding := &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: user}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: user},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user}}}
	must(admin.RbacV1().ClusterRoleBindings().Create(t.Context(), binding, metav1.CreateOptions{}))(t)
}
