package nodeleases

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/kubernetes/pkg/apis/coordination"

	over "github.com/reckon-project/reckon/gateway/store"
)

// store is the storage of Leases: those written, and those told by heartbeats.
type store struct {
	storage.Interface // of those written
	heard             *Heard
	prefix            string
}

// Over makes the storage of Leases from that of those written, whose keys begin
// with prefix.
func (h *Heard) Over(written storage.Interface, prefix string) storage.Interface {
	return &store{written, h, strings.TrimSuffix(prefix, "/")}
}

// selection is which of the leases told a request is about.
type selection struct {
	storage.SelectionPredicate
	name string // "": all
}

// selects tells what a key and a predicate select; false: none of those told,
// whose past nobody knows.
func (s *store) selects(ctx context.Context, key string, p storage.SelectionPredicate) (selection, bool) {
	rel := strings.TrimPrefix(strings.TrimPrefix(key, s.prefix), "/")
	namespace, name, _ := strings.Cut(rel, "/")
	_, past := over.MomentOf(ctx)
	return selection{p, name}, !past && (namespace == "" || namespace == corev1.NamespaceNodeLease)
}

// lease gives a node's lease at a version if it is selected.
func (h *Heard) selected(sel selection, node, version string) (*coordination.Lease, error) {
	if sel.name != "" && sel.name != node {
		return nil, nil
	}
	l := h.lease(node)
	if l == nil {
		return nil, nil
	}
	l.ResourceVersion = version
	if ok, err := sel.Matches(l); err != nil || !ok {
		return nil, err
	}
	return l, nil
}

// told gives the lease that a key names, if it is one that is told.
func (s *store) told(ctx context.Context, key string) *coordination.Lease {
	if sel, ok := s.selects(ctx, key, storage.Everything); ok && sel.name != "" {
		return s.heard.lease(sel.name)
	}
	return nil
}

// Get implements storage.Interface.
func (s *store) Get(ctx context.Context, key string, o storage.GetOptions, out runtime.Object) error {
	l := s.told(ctx, key)
	if l == nil {
		return s.Interface.Get(ctx, key, o, out)
	}
	version, err := s.GetCurrentResourceVersion(ctx)
	if err != nil {
		return err
	}
	to, ok := out.(*coordination.Lease)
	if !ok {
		return fmt.Errorf("a Lease can't be read into a %T", out)
	}
	*to = *l
	return s.Versioner().UpdateObject(out, version)
}

// GetList implements storage.Interface. The leases told are on the last page,
// and in present lists only.
func (s *store) GetList(ctx context.Context, key string, o storage.ListOptions, list runtime.Object) error {
	if err := s.Interface.GetList(ctx, key, o, list); err != nil {
		return err
	}
	sel, ok := s.selects(ctx, key, o.Predicate)
	to, isList := list.(*coordination.LeaseList)
	if !ok || !isList || to.Continue != "" || o.ResourceVersionMatch == metav1.ResourceVersionMatchExact {
		return nil
	}
	for node := range s.heard.nodes() {
		l, err := s.heard.selected(sel, node, to.ResourceVersion)
		if err != nil {
			return err
		}
		if l != nil {
			to.Items = append(to.Items, *l)
		}
	}
	slices.SortStableFunc(to.Items, func(a, b coordination.Lease) int {
		return strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name)
	})
	return nil
}

// errTold refuses a write to a lease that is told.
func errTold(l *coordination.Lease) error {
	return apierrors.NewBadRequest(fmt.Sprintf("the lease %s/%s is told by the node's heartbeats and can't be changed", l.Namespace, l.Name))
}

// GuaranteedUpdate implements storage.Interface.
func (s *store) GuaranteedUpdate(ctx context.Context, key string, out runtime.Object, ignoreNotFound bool, p *storage.Preconditions, update storage.UpdateFunc, cached runtime.Object) error {
	if l := s.told(ctx, key); l != nil {
		return errTold(l)
	}
	return s.Interface.GuaranteedUpdate(ctx, key, out, ignoreNotFound, p, update, cached)
}

// Delete implements storage.Interface.
func (s *store) Delete(ctx context.Context, key string, out runtime.Object, p *storage.Preconditions, validate storage.ValidateObjectFunc, cached runtime.Object, o storage.DeleteOptions) error {
	if l := s.told(ctx, key); l != nil {
		return errTold(l)
	}
	return s.Interface.Delete(ctx, key, out, p, validate, cached, o)
}
