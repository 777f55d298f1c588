package gateway_test

import (
	"context"
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"

	"github.com/reckon-project/reckon/gateway/gatewaytest"
)

// testNodeLeases: a node's heartbeats are seen as its lease, and are no events.
func testNodeLeases(t *testing.T, c *gatewaytest.Cluster, admin *kubernetes.Clientset) {
	node := must(admin.CoreV1().Nodes().Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "beating"}}, metav1.CreateOptions{}))(t)
	leases := admin.CoordinationV1().Leases(corev1.NamespaceNodeLease)
	beat := func(node string) {
		if err := c.Bus.Publish("beat."+node, []byte(`{}`)); err != nil {
			t.Fatal(err)
		}
	}
	w := must(leases.Watch(t.Context(), metav1.ListOptions{}))(t)
	defer w.Stop()
	_, logged, _ := c.Bus.Log().Range(t.Context())
	_, written, _ := c.Bus.Volatile().Range(t.Context())

	beat("beating")
	beat("unknown") // no such node
	first := seen(t, w, watch.Added)
	if first.Name != "beating" || *first.Spec.HolderIdentity != "beating" || first.OwnerReferences[0].UID != node.UID {
		t.Errorf("the lease is %+v", first)
	}
	beat("beating")
	if again := seen(t, w, watch.Modified); !first.Spec.RenewTime.Time.Before(again.Spec.RenewTime.Time) {
		t.Errorf("renewed at %v, then %v", first.Spec.RenewTime, again.Spec.RenewTime)
	}
	if _, now, _ := c.Bus.Log().Range(t.Context()); now != logged {
		t.Errorf("LOG grew from %d to %d", logged, now)
	}
	if _, now, _ := c.Bus.Volatile().Range(t.Context()); now != written {
		t.Errorf("VOLATILE grew from %d to %d", written, now)
	}

	list := must(leases.List(t.Context(), metav1.ListOptions{}))(t)
	if len(list.Items) != 1 || list.Items[0].Name != "beating" || list.Items[0].UID == "" || list.Items[0].UID == node.UID {
		t.Errorf("listed: %+v", list.Items)
	}
	if all := must(admin.CoordinationV1().Leases("").List(t.Context(), metav1.ListOptions{FieldSelector: "metadata.name=beating"}))(t); len(all.Items) != 1 {
		t.Errorf("in all namespaces: %+v", all.Items)
	}
	if others := must(admin.CoordinationV1().Leases("default").List(t.Context(), metav1.ListOptions{}))(t); len(others.Items) != 0 {
		t.Errorf("in another namespace: %+v", others.Items)
	}
	must(leases.Get(t.Context(), "beating", metav1.GetOptions{}))(t)
	if err := leases.Delete(t.Context(), "beating", metav1.DeleteOptions{}); !apierrors.IsBadRequest(err) {
		t.Errorf("deleting what heartbeats tell: %v", err)
	}
	if _, err := leases.Patch(t.Context(), "beating", types.MergePatchType, []byte(`{"metadata":{"labels":{"a":"b"}}}`), metav1.PatchOptions{}); !apierrors.IsBadRequest(err) {
		t.Errorf("changing what heartbeats tell: %v", err)
	}

	// Who lists and watches by one request sees it as well.
	send := true
	streamed := must(leases.Watch(t.Context(), metav1.ListOptions{SendInitialEvents: &send, AllowWatchBookmarks: true, ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan}))(t)
	defer streamed.Stop()
	if l := seen(t, streamed, watch.Added); l.Name != "beating" {
		t.Errorf("streamed: %+v", l)
	}
	seen(t, streamed, watch.Bookmark)

	if err := admin.CoreV1().Nodes().Delete(t.Context(), "beating", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a removed node has no lease", func(ctx context.Context) (bool, error) {
		_, err := leases.Get(ctx, "beating", metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
	beat("beating")
	if l := seen(t, w, watch.Deleted); l.Name != "beating" {
		t.Errorf("deleted: %+v", l)
	}
}

func seen(t *testing.T, w watch.Interface, kind watch.EventType) *coordinationv1.Lease {
	t.Helper()
	e, ok := <-w.ResultChan()
	l, isLease := e.Object.(*coordinationv1.Lease)
	if !ok || !isLease || e.Type != kind {
		t.Fatalf("saw %s of %+v, want %s of a lease", e.Type, e.Object, kind)
	}
	return l
}
