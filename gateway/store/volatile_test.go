package store_test

import (
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/kubernetes/pkg/apis/coordination"
	_ "k8s.io/kubernetes/pkg/apis/coordination/install"

	"github.com/reckon-project/reckon/bus/memory"
)

func (c *cluster) leases(t *testing.T) storage.Interface {
	r := schema.GroupResource{Group: "coordination.k8s.io", Resource: "leases"}
	return c.storeOf(t, r, coordinationv1.SchemeGroupVersion, "/leases", &coordination.Lease{}, &coordination.LeaseList{})
}

func newLease() *coordination.Lease {
	return &coordination.Lease{ObjectMeta: metav1.ObjectMeta{Name: "l", Namespace: "default"}}
}

func renew(s storage.Interface, t *testing.T, holder string) error {
	return s.GuaranteedUpdate(t.Context(), "/leases/default/l", &coordination.Lease{}, false, nil, storage.SimpleUpdate(func(in runtime.Object) (runtime.Object, error) {
		in.(*coordination.Lease).Spec.HolderIdentity = &holder
		return in, nil
	}), nil)
}

// TestVolatileForgets: a lease whose first events the stream no longer has is
// there for a server that starts later, and goes on; one whose events are all
// gone can be made again by a server that remembers it.
func TestVolatileForgets(t *testing.T) {
	b := memory.New(time.Now)
	first := newCluster(t, b, nil).leases(t)
	create(t, first, "/leases/default/l", newLease())
	if err := renew(first, t, "a"); err != nil {
		t.Fatal(err)
	}
	_, last, _ := b.Volatile().Range(t.Context())
	if err := b.Volatile().Trim(t.Context(), last); err != nil { // all but the newest
		t.Fatal(err)
	}
	second := newCluster(t, b, nil).leases(t)
	if err := renew(second, t, "b"); err != nil {
		t.Fatal(err)
	}
	got := &coordination.Lease{}
	if err := first.Get(t.Context(), "/leases/default/l", storage.GetOptions{}, got); err != nil || *got.Spec.HolderIdentity != "b" {
		t.Errorf("read %v, %v", got.Spec, err)
	}
	if err := first.Delete(t.Context(), "/leases/default/l", &coordination.Lease{}, nil, storage.ValidateAllObjectFunc, nil, storage.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := second.Get(t.Context(), "/leases/default/l", storage.GetOptions{}, got); !storage.IsNotFound(err) {
		t.Fatalf("read a deleted lease: %v", err) // and so the second server has folded all
	}
	_, last, _ = b.Volatile().Range(t.Context())
	if err := b.Volatile().Trim(t.Context(), last+1); err != nil {
		t.Fatal(err)
	}
	create(t, first, "/leases/default/l", newLease())
	if err := renew(second, t, "c"); err != nil {
		t.Error(err)
	}
}
