package gateway_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	aggregatorclient "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset"
	metricsv1beta1 "k8s.io/metrics/pkg/apis/metrics/v1beta1"
	metricsclient "k8s.io/metrics/pkg/client/clientset/versioned"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/reckon-project/reckon/bus/usage"
	"github.com/reckon-project/reckon/gateway/gatewaytest"
)

// TestMetrics: what nodes tell on the bus is what metrics.k8s.io shows.
func TestMetrics(t *testing.T) {
	c := gatewaytest.Start(t)
	admin := client(t, c.Admin)
	told := tellUsage(t, c, admin)
	api := must(metricsclient.NewForConfig(c.Admin))(t).MetricsV1beta1()

	node := must(api.NodeMetricses().Get(t.Context(), "n1", metav1.GetOptions{}))(t)
	if cpu, memory := node.Usage.Cpu().String(), node.Usage.Memory().String(); cpu != "1500m" || memory != "2Gi" || node.Window.Duration != 15*time.Second || !node.Timestamp.Time.Equal(told.Truncate(time.Second)) {
		t.Errorf("the node uses %s and %s over %s at %s", cpu, memory, node.Window.Duration, node.Timestamp)
	}
	if _, err := api.NodeMetricses().Get(t.Context(), "n2", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("a node that tells nothing: %v", err)
	}
	pod := must(api.PodMetricses("default").Get(t.Context(), "web", metav1.GetOptions{}))(t)
	if len(pod.Containers) != 2 || pod.Containers[0].Name != "a" || pod.Containers[0].Usage.Cpu().String() != "250m" || pod.Containers[1].Usage.Memory().String() != "1Mi" || pod.Labels["app"] != "web" {
		t.Errorf("the pod uses %+v", pod)
	}
	if _, err := api.PodMetricses("default").Get(t.Context(), "idle", metav1.GetOptions{}); !apierrors.IsNotFound(err) || !strings.Contains(err.Error(), "default/idle") {
		t.Errorf("a pod that nobody told of: %v", err)
	}
	for selector, want := range map[metav1.ListOptions][]string{
		{}: {"other", "web"}, {LabelSelector: "app=web"}: {"web"}, {LabelSelector: "app=none"}: nil, {FieldSelector: "metadata.name=other"}: {"other"},
	} {
		var got []string
		for _, m := range must(api.PodMetricses("default").List(t.Context(), selector))(t).Items {
			got = append(got, m.Name)
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("%+v selects the metrics of %q, not %q", selector, got, want)
		}
	}
	if list := must(api.PodMetricses("").List(t.Context(), metav1.ListOptions{}))(t); len(list.Items) != 2 {
		t.Errorf("in all namespaces there are %d", len(list.Items))
	}
	if list := must(api.NodeMetricses().List(t.Context(), metav1.ListOptions{LabelSelector: "zone=here"}))(t); len(list.Items) != 1 {
		t.Errorf("of the zone there are %d nodes", len(list.Items))
	}
	raw := must(admin.RESTClient().Get().AbsPath("/apis/metrics.k8s.io/v1beta1/namespaces/default/pods").
		SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io").DoRaw(t.Context()))(t)
	var table metav1.Table
	if err := json.Unmarshal(raw, &table); err != nil {
		t.Fatal(err)
	}
	if len(table.ColumnDefinitions) != 4 || len(table.Rows) != 2 || table.Rows[1].Cells[1] != "350m" {
		t.Errorf("the table is %s", raw)
	}
	t.Run("the past", func(t *testing.T) { testPastMetrics(t, c, told) })
	t.Run("who may read", func(t *testing.T) { testMetricsReaders(t, c, admin) })
	t.Run("another server takes over", func(t *testing.T) { testMetricsTakeover(t, c, admin) })
}

// tellUsage makes nodes and pods, and has a node tell once what they use.
func tellUsage(t *testing.T, c *gatewaytest.Cluster, admin *kubernetes.Clientset) time.Time {
	t.Helper()
	if _, err := admin.CoreV1().ServiceAccounts("default").Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"n1", "n2"} {
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"zone": "here"}}}
		must(admin.CoreV1().Nodes().Create(t.Context(), node, metav1.CreateOptions{}))(t)
	}
	uid := map[string]string{}
	for _, name := range []string{"web", "other", "idle"} {
		pod := makePod(name)
		pod.Labels, pod.Spec.NodeName = map[string]string{"app": name}, "n1"
		uid[name] = string(must(admin.CoreV1().Pods("default").Create(t.Context(), pod, metav1.CreateOptions{}))(t).UID)
	}
	r := &usage.Report{Time: time.Now().UTC(), Window: 15 * time.Second, Use: usage.Use{CPU: 1_500_000_000, Memory: 2 << 30}, Pods: []usage.Pod{
		{UID: uid["web"], Window: 15 * time.Second, Containers: []usage.Container{
			{Name: "a", Use: usage.Use{CPU: 250_000_000, Memory: 64 << 20}}, {Name: "b", Use: usage.Use{CPU: 100_000_000, Memory: 1 << 20}},
		}},
		{UID: uid["other"], Window: time.Second, Containers: []usage.Container{{Name: "c", Use: usage.Use{CPU: 1, Memory: 1}}}},
		{UID: "of a pod that is gone", Window: time.Second},
	}}
	data := must(usage.Encode(r))(t)
	keepTelling(t, c, usage.Subject("n1"), data)
	api := must(metricsclient.NewForConfig(c.Admin))(t).MetricsV1beta1()
	eventually(t, "a node's metrics", func(ctx context.Context) (bool, error) {
		_, err := api.NodeMetricses().Get(ctx, "n1", metav1.GetOptions{})
		return err == nil, nil
	})
	return r.Time
}

// keepTelling tells until the test ends: what isn't told again is soon forgotten.
func keepTelling(t *testing.T, c *gatewaytest.Cluster, subject string, data []byte) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	t.Cleanup(func() { cancel(); <-ended })
	go func() {
		defer close(ended)
		wait.UntilWithContext(ctx, func(context.Context) {
			if err := c.Bus.Publish(subject, data); err != nil {
				t.Error(err)
			}
		}, 100*time.Millisecond)
	}()
}

// testPastMetrics: the moments that are remembered are shown, earlier ones are gone.
func testPastMetrics(t *testing.T, c *gatewaytest.Cluster, told time.Time) {
	at := func(when time.Time) (*metricsv1beta1.PodMetricsList, error) {
		config := rest.CopyConfig(c.Admin)
		config.Host += "/at/" + when.UTC().Format(time.RFC3339Nano)
		return must(metricsclient.NewForConfig(config))(t).MetricsV1beta1().PodMetricses("default").List(t.Context(), metav1.ListOptions{LabelSelector: "app=web"})
	}
	now := must(at(time.Now()))(t)
	if len(now.Items) != 1 || now.Items[0].Containers[0].Usage.Cpu().String() != "250m" {
		t.Errorf("a moment ago it was %+v", now)
	}
	if list, err := at(told.Add(-5 * time.Minute)); err == nil && len(list.Items) != 0 {
		t.Errorf("before anything was told it was %+v", list)
	}
}

// testMetricsReaders: whoever may view may read pods' metrics, others may not.
func testMetricsReaders(t *testing.T, c *gatewaytest.Cluster, admin *kubernetes.Clientset) {
	binding := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "looker"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: "looker"}}}
	must(admin.RbacV1().RoleBindings("default").Create(t.Context(), binding, metav1.CreateOptions{}))(t)
	as := func(user string) (*metricsv1beta1.PodMetricsList, error) {
		config := rest.CopyConfig(c.Admin)
		config.Impersonate.UserName = user
		return must(metricsclient.NewForConfig(config))(t).MetricsV1beta1().PodMetricses("default").List(t.Context(), metav1.ListOptions{})
	}
	// The role is aggregated by a controller, which isn't run here.
	must(admin.RbacV1().ClusterRoles().Get(t.Context(), "system:aggregated-metrics-reader", metav1.GetOptions{}))(t)
	view := must(admin.RbacV1().ClusterRoles().Get(t.Context(), "view", metav1.GetOptions{}))(t)
	view.Rules = append(view.Rules, must(admin.RbacV1().ClusterRoles().Get(t.Context(), "system:aggregated-metrics-reader", metav1.GetOptions{}))(t).Rules...)
	must(admin.RbacV1().ClusterRoles().Update(t.Context(), view, metav1.UpdateOptions{}))(t)
	eventually(t, "a viewer reads metrics", func(context.Context) (bool, error) {
		_, err := as("looker")
		return err == nil, nil
	})
	if _, err := as("stranger"); !apierrors.IsForbidden(err) {
		t.Errorf("a stranger: %v", err)
	}
}

// testMetricsTakeover: who names a Service in the APIService has taken it; it is
// served here again when that was deleted, but not when this one was.
func testMetricsTakeover(t *testing.T, c *gatewaytest.Cluster, admin *kubernetes.Clientset) {
	services := must(aggregatorclient.NewForConfig(c.Admin))(t).ApiregistrationV1().APIServices()
	const name = "v1beta1.metrics.k8s.io"
	var ours *apiregistrationv1.APIService
	eventually(t, "the metrics API is registered", func(ctx context.Context) (bool, error) {
		var err error
		ours, err = services.Get(ctx, name, metav1.GetOptions{})
		return err == nil, nil
	})
	if ours.Spec.Service != nil {
		t.Fatalf("it is served by %+v", ours.Spec.Service)
	}
	eventually(t, "discovery lists the metrics API", func(context.Context) (bool, error) {
		_, lists, err := admin.Discovery().ServerGroupsAndResources()
		if err != nil {
			return false, nil //nolint:nilerr // tried again
		}
		return slices.ContainsFunc(lists, func(l *metav1.APIResourceList) bool {
			return l.GroupVersion == "metrics.k8s.io/v1beta1" && len(l.APIResources) == 2
		}), nil
	})
	taken := []byte(`{"spec":{"service":{"namespace":"kube-system","name":"metrics-server","port":1},"insecureSkipTLSVerify":true}}`)
	must(services.Patch(t.Context(), name, types.MergePatchType, taken, metav1.PatchOptions{}))(t) // others write its status
	read := func(ctx context.Context) error {
		return admin.RESTClient().Get().AbsPath("/apis/metrics.k8s.io/v1beta1/nodes").Do(ctx).Error()
	}
	eventually(t, "requests go to the other server", func(ctx context.Context) (bool, error) {
		return apierrors.IsServiceUnavailable(read(ctx)), nil // which doesn't exist
	})
	if err := services.Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the metrics API is served here again", func(ctx context.Context) (bool, error) {
		have, err := services.Get(ctx, name, metav1.GetOptions{})
		return err == nil && have.Spec.Service == nil && read(ctx) == nil, nil
	})
}
