package garbage_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/controllers/garbage"
	"github.com/reckon-project/reckon/events"
)

// TestGraphs: in any graph of owners, whatever is deleted how, nothing goes that
// has a live owner, and in the end nothing is left whose owners are all gone.
func TestGraphs(t *testing.T) {
	for seed := range uint64(15) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			run(t, func(w *controllertest.World) { (&graph{t: t, w: w, r: rand.New(rand.NewPCG(seed, 7))}).play() })
		})
	}
}

type graph struct {
	t          *testing.T
	w          *controllertest.World
	r          *rand.Rand
	keys       []events.Key
	bySomebody atomic.Bool // a person deletes, not the collector
}

func (g *graph) play() {
	g.w.API.Refuse = g.watch
	g.w.Run(garbage.New())
	for i := range 40 {
		g.create(i)
	}
	g.w.Settle()
	policies := []metav1.DeletionPropagation{metav1.DeletePropagationBackground, metav1.DeletePropagationForeground, metav1.DeletePropagationOrphan, ""}
	for range 12 {
		k := g.keys[g.r.IntN(len(g.keys))]
		if !exists(g.w, k) || g.w.Snapshot().Get(k).Meta().GetDeletionTimestamp() != nil {
			continue
		}
		g.bySomebody.Store(true)
		g.w.Delete(k, policies[g.r.IntN(len(policies))])
		g.bySomebody.Store(false)
		g.w.Settle()
	}
	g.w.Advance(5 * time.Minute)
	for _, k := range g.keys {
		o := g.w.Snapshot().Get(k)
		if !o.Exists() {
			continue
		}
		if o.Meta().GetDeletionTimestamp() != nil {
			g.t.Errorf("%s is being deleted for ever: %v", k, o.Meta().GetFinalizers())
		}
		if refs := o.Meta().GetOwnerReferences(); len(refs) > 0 && !g.owned(o) {
			g.t.Errorf("%s stays, and all its owners are gone: %v", k, refs)
		}
	}
}

// create makes an object with up to three owners: some are there, some never were,
// some are in another namespace. A third of the objects are in none.
func (g *graph) create(i int) {
	m := metav1.ObjectMeta{Name: fmt.Sprintf("o%d", i)}
	kind := controllers.ConfigMap
	if g.r.IntN(3) == 0 {
		kind = controllers.ClusterRole
	} else {
		m.Namespace = []string{"a", "b"}[g.r.IntN(2)]
	}
	for range g.r.IntN(4) {
		if len(g.keys) == 0 {
			break
		}
		ref := g.reference()
		if g.r.IntN(6) == 0 {
			ref.UID = types.UID(fmt.Sprintf("never-%d", i))
		}
		m.OwnerReferences = append(m.OwnerReferences, ref)
	}
	key := kind.Key(m.Namespace, m.Name)
	if kind == controllers.ClusterRole {
		g.w.Create(kind, &rbacv1.ClusterRole{ObjectMeta: m})
	} else {
		g.w.Create(kind, &corev1.ConfigMap{ObjectMeta: m})
	}
	g.keys = append(g.keys, key)
}

func (g *graph) reference() metav1.OwnerReference {
	owner := g.keys[g.r.IntN(len(g.keys))]
	kind := controllers.ConfigMap
	if owner.Group != "" {
		kind = controllers.ClusterRole
	}
	ref := metav1.OwnerReference{APIVersion: kind.APIVersion(), Kind: kind.Kind, Name: owner.Name, UID: "went-already"}
	if o := g.w.Snapshot().Get(owner); o.Exists() {
		ref.UID = o.Meta().GetUID()
	}
	if g.r.IntN(2) == 0 {
		yes := true
		ref.BlockOwnerDeletion = &yes
	}
	return ref
}

// watch sees each write before it is carried out.
func (g *graph) watch(method string, k events.Key) error {
	if method != "DELETE" || g.bySomebody.Load() {
		return nil
	}
	o := g.w.Snapshot().Get(k)
	if o.Exists() && o.Meta().GetDeletionTimestamp() == nil && g.owned(o) {
		g.t.Errorf("%s is collected, and it has an owner: %v", k, o.Meta().GetOwnerReferences())
	}
	return nil
}

// owned reports an object with an owner that is there, or of which nothing can be known.
func (g *graph) owned(o *events.Object) bool {
	for _, r := range o.Meta().GetOwnerReferences() {
		if o.Key.Namespace == "" && r.Kind == "ConfigMap" {
			return true
		}
		owner := g.w.Snapshot().ByUID(string(r.UID))
		if !owner.Exists() || owner.Key.Namespace != "" && owner.Key.Namespace != o.Key.Namespace {
			continue
		}
		m := owner.Meta()
		if m.GetDeletionTimestamp() == nil || !strings.Contains(strings.Join(m.GetFinalizers(), " "), metav1.FinalizerDeleteDependents) {
			return true
		}
	}
	return false
}

// Two that own each other go together.
func TestCircle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		w.Run(garbage.New())
		a, b := controllers.ConfigMap.Key("x", "a"), controllers.ConfigMap.Key("x", "b")
		w.Create(controllers.ConfigMap, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "x", Name: "a"}})
		w.Create(controllers.ConfigMap, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "x", Name: "b",
			OwnerReferences: []metav1.OwnerReference{controllers.ConfigMap.Ref(controllertest.Get[*corev1.ConfigMap](w, a))}}})
		w.Patch(a, `{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"b","uid":%q,"blockOwnerDeletion":true}]}}`,
			controllertest.Get[*corev1.ConfigMap](w, b).UID)
		w.Delete(a, metav1.DeletePropagationForeground)
		w.Advance(time.Minute)
		if exists(w, a) || exists(w, b) {
			t.Errorf("a is there: %v, b: %v", exists(w, a), exists(w, b))
		}
	})
}

// What refers to an owner in another namespace goes, and says why.
func TestOwnerInAnotherNamespace(t *testing.T) {
	run(t, func(w *controllertest.World) {
		w.Run(garbage.New())
		w.Create(controllers.ConfigMap, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "owner"}})
		owner := controllertest.Get[*corev1.ConfigMap](w, controllers.ConfigMap.Key("a", "owner"))
		refs := []metav1.OwnerReference{controllers.ConfigMap.Ref(owner)}
		script := controllertest.NewTranscript(w, "namespaces")
		w.Create(controllers.ConfigMap, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "b", Name: "astray", OwnerReferences: refs}})
		script.Step("its owner is in another namespace")
		w.Create(controllers.ClusterRole, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "nowhere", OwnerReferences: refs}})
		script.Step("in no namespace, and its owner is in one")
		w.Delete(controllers.ConfigMap.Key("a", "owner"), "")
		script.Step("that owner goes")
		script.Done()
	})
}
