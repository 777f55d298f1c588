package gateway_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/client-go/kubernetes"

	"github.com/reckon-project/reckon/gateway/gatewaytest"
)

// Sixty-four clients at once, over HTTP and the short way, create exactly as many
// pods as a quota leaves; each has what the LimitRange says, and pod security is
// asked the short way too.
func TestQuotaIsStrict(t *testing.T) {
	c := gatewaytest.Start(t)
	admin := must(kubernetes.NewForConfig(c.Admin))(t)
	eventually(t, "a service account to run pods as", func(ctx context.Context) (bool, error) {
		_, err := admin.CoreV1().ServiceAccounts("default").Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}, metav1.CreateOptions{})
		return err == nil, nil
	})
	limits := &corev1.LimitRange{ObjectMeta: metav1.ObjectMeta{Name: "l"}}
	limits.Spec.Limits = []corev1.LimitRangeItem{{Type: corev1.LimitTypeContainer, DefaultRequest: corev1.ResourceList{"cpu": resource.MustParse("10m")}}}
	must(admin.CoreV1().LimitRanges("default").Create(t.Context(), limits, metav1.CreateOptions{}))(t)

	b := bothWays{t, c.Gateway.Transport(serviceaccount.UserInfo("kube-system", manager, ""))}
	pod := func(name string) *corev1.Pod {
		p := &corev1.Pod{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}, ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}
		p.Spec.Containers = []corev1.Container{{Name: "c", Image: "x"}}
		owner := &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Name: "rs", UID: "of-rs"}}
		p.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(owner, appsv1.SchemeGroupVersion.WithKind("ReplicaSet"))}
		return p
	}
	eventually(t, "a pod the short way", func(context.Context) (bool, error) {
		if _, taken, err := b.short(pod("sample"), http.Header{}); taken || err != nil {
			return taken, err
		}
		if _, err := b.long(pod("sample"), http.Header{}); err != nil && !apierrors.IsAlreadyExists(err) {
			return false, nil // what admission needs isn't there yet
		}
		_, taken, err := b.short(pod("other"), http.Header{})
		return taken, err
	})

	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "q"}}
	quota.Spec.Hard = corev1.ResourceList{"pods": resource.MustParse("12")}
	made := must(admin.CoreV1().ResourceQuotas("default").Create(t.Context(), quota, metav1.CreateOptions{}))(t)
	uses := func(n string) { // as the controller tells it
		made.Status = corev1.ResourceQuotaStatus{Hard: quota.Spec.Hard, Used: corev1.ResourceList{"pods": resource.MustParse(n)}}
		made = must(admin.CoreV1().ResourceQuotas("default").UpdateStatus(t.Context(), made, metav1.UpdateOptions{}))(t)
	}
	refused := func(want bool) func(ctx context.Context) (bool, error) {
		return func(ctx context.Context) (bool, error) {
			_, err := admin.CoreV1().Pods("default").Create(ctx, pod("probe"), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
			return apierrors.IsForbidden(err) == want, nil
		}
	}
	uses("12")
	eventually(t, "admission to know the quota", refused(true))
	uses("2")
	eventually(t, "admission to know what is used", refused(false))

	var wg sync.WaitGroup
	var created, quick atomic.Int32
	for i := range 64 {
		wg.Go(func() {
			p := pod(fmt.Sprintf("p%d", i))
			var err error
			if i%2 == 0 {
				var taken bool
				if _, taken, err = b.short(p, http.Header{}); taken {
					quick.Add(1)
				}
			} else {
				_, err = admin.CoreV1().Pods("default").Create(t.Context(), p, metav1.CreateOptions{})
			}
			switch {
			case err == nil:
				created.Add(1)
			case !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "exceeded quota: q, requested: pods=1, used: pods=12, limited: pods=12"):
				t.Errorf("refused with %v", err)
			}
		})
	}
	wg.Wait()
	pods := must(admin.CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{}))(t)
	if len(pods.Items) != 12 || created.Load() != 10 || quick.Load() != 32 {
		t.Errorf("%d pods, %d of them of 64, %d of which went the short way", len(pods.Items), created.Load(), quick.Load())
	}
	for _, p := range pods.Items {
		if got := p.Spec.Containers[0].Resources.Requests.Cpu().String(); got != "10m" {
			t.Errorf("%s asks for %s of CPU", p.Name, got)
		}
	}

	if err := admin.CoreV1().ResourceQuotas("default").Delete(t.Context(), "q", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	must(admin.CoreV1().Namespaces().Patch(t.Context(), "default", "application/merge-patch+json",
		[]byte(`{"metadata":{"labels":{"pod-security.kubernetes.io/enforce":"restricted"}}}`), metav1.PatchOptions{}))(t)
	n := 0
	eventually(t, "pod security to refuse", func(context.Context) (bool, error) {
		n++
		_, taken, err := b.short(pod(fmt.Sprintf("after%d", n)), http.Header{})
		return taken && err != nil && strings.Contains(err.Error(), `violates PodSecurity "restricted:latest"`), nil
	})
}
