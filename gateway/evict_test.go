package gateway_test

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"

	"github.com/reckon-project/reckon/bus/memory"
	"github.com/reckon-project/reckon/gateway/gatewaytest"
)

// TestEvictionsAtTwoServers has two servers of one cluster evict pods at once:
// together they evict as many as the budget allows, and refuse the others.
func TestEvictionsAtTwoServers(t *testing.T) {
	const pods, allowed = 12, 3
	b := memory.New(time.Now)
	dir := t.TempDir()
	var servers []*kubernetes.Clientset
	for range 2 {
		admin := gatewaytest.StartOn(t, b, dir).Admin
		admin.QPS = -1
		servers = append(servers, client(t, admin))
	}
	admin, ctx := servers[0], t.Context()
	must(admin.CoreV1().ServiceAccounts("default").Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}, metav1.CreateOptions{}))(t)
	names := make([]string, pods)
	for i := range names {
		names[i] = "p" + string(rune('a'+i))
		pod := makePod(names[i])
		pod.Labels, pod.Spec.NodeName = map[string]string{"app": "web"}, "n1"
		pod = must(admin.CoreV1().Pods("default").Create(ctx, pod, metav1.CreateOptions{}))(t)
		pod.Status = corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}}
		must(admin.CoreV1().Pods("default").UpdateStatus(ctx, pod, metav1.UpdateOptions{}))(t)
	}
	least := intstr.FromInt32(pods - allowed)
	budget := &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Name: "web"}}
	budget.Spec = policyv1.PodDisruptionBudgetSpec{MinAvailable: &least, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}}
	budgets := admin.PolicyV1().PodDisruptionBudgets("default")
	budget = must(budgets.Create(ctx, budget, metav1.CreateOptions{}))(t)
	evict := func(server *kubernetes.Clientset, name string) error {
		eviction := &policyv1.Eviction{
			TypeMeta:   metav1.TypeMeta{APIVersion: "policy/v1", Kind: "Eviction"},
			ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"},
		}
		return server.CoreV1().RESTClient().Post().Namespace("default").Resource("pods").Name(name).SubResource("eviction").
			MaxRetries(0).Body(eviction).Do(ctx).Error() // the client would wait ten seconds where it is told to
	}
	if err := evict(admin, names[0]); !apierrors.IsTooManyRequests(err) {
		t.Errorf("before the budget was counted an eviction gave %v", err)
	}
	budget.Status = policyv1.PodDisruptionBudgetStatus{
		ObservedGeneration: budget.Generation, ExpectedPods: pods, CurrentHealthy: pods, DesiredHealthy: pods - allowed, DisruptionsAllowed: allowed,
	}
	must(budgets.UpdateStatus(ctx, budget, metav1.UpdateOptions{}))(t)

	var evicted atomic.Int32
	var all sync.WaitGroup
	for i, name := range names {
		all.Go(func() {
			err := evict(servers[i%len(servers)], name)
			switch {
			case err == nil:
				evicted.Add(1)
			case !apierrors.IsTooManyRequests(err) || !strings.Contains(err.Error(), "Cannot evict pod as it would violate the pod's disruption budget."):
				t.Errorf("evict %s: %v", name, err)
			}
		})
	}
	all.Wait()
	budget = must(budgets.Get(ctx, "web", metav1.GetOptions{}))(t)
	if evicted.Load() != allowed || budget.Status.DisruptionsAllowed != 0 || len(budget.Status.DisruptedPods) != allowed {
		t.Errorf("%d pods were evicted, %d allowed; the budget says %+v", evicted.Load(), allowed, budget.Status)
	}
	for name := range budget.Status.DisruptedPods {
		pod := must(admin.CoreV1().Pods("default").Get(ctx, name, metav1.GetOptions{}))(t)
		marked := false
		for _, c := range pod.Status.Conditions {
			marked = marked || c.Type == corev1.DisruptionTarget && c.Reason == "EvictionByEvictionAPI"
		}
		if pod.DeletionTimestamp == nil || !marked {
			t.Errorf("pod %s: being deleted since %v, marked: %v", name, pod.DeletionTimestamp, marked)
		}
	}
}
