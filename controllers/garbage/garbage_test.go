package garbage_test

import (
	"testing"
	"testing/synctest"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/controllers/garbage"
	"github.com/reckon-project/reckon/events"
)

// family makes a grandparent, a parent and a child as config maps.
func family(w *controllertest.World) (grandparent, parent, child events.Key) {
	w.Run(garbage.New())
	var owner *corev1.ConfigMap
	var keys []events.Key
	for _, name := range []string{"grandparent", "parent", "child"} {
		cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}
		if owner != nil {
			cm.OwnerReferences = []metav1.OwnerReference{controllers.ConfigMap.Ref(owner)}
		}
		w.Create(controllers.ConfigMap, cm)
		key := controllers.ConfigMap.Key("default", name)
		owner = controllertest.Get[*corev1.ConfigMap](w, key)
		keys = append(keys, key)
	}
	w.Settle()
	return keys[0], keys[1], keys[2]
}

func run(t *testing.T, f func(w *controllertest.World)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		f(w)
	})
}

func exists(w *controllertest.World, k events.Key) bool { return w.Snapshot().Get(k).Exists() }

func TestPropagation(t *testing.T) {
	for _, policy := range []metav1.DeletionPropagation{metav1.DeletePropagationBackground, metav1.DeletePropagationForeground, metav1.DeletePropagationOrphan} {
		t.Run(string(policy), func(t *testing.T) {
			run(t, func(w *controllertest.World) {
				grandparent, _, _ := family(w)
				script := controllertest.NewTranscript(w, string(policy))
				script.Step("before")
				w.Delete(grandparent, policy)
				script.Step("deleted")
				script.Done()
			})
		})
	}
}

func TestForegroundWaitsForFinalizer(t *testing.T) {
	run(t, func(w *controllertest.World) {
		grandparent, parent, child := family(w)
		w.Patch(child, `{"metadata":{"finalizers":["example.com/hold"]}}`)
		w.Delete(grandparent, metav1.DeletePropagationForeground)
		w.Settle()
		if !exists(w, grandparent) || !exists(w, parent) || !exists(w, child) {
			t.Error("an owner went before its dependents")
		}
		w.Patch(child, `{"metadata":{"finalizers":null}}`)
		w.Settle()
		if exists(w, grandparent) || exists(w, parent) || exists(w, child) {
			t.Error("something is left")
		}
	})
}

func TestSecondOwnerKeeps(t *testing.T) {
	run(t, func(w *controllertest.World) {
		grandparent, parent, child := family(w)
		other := controllertest.Get[*corev1.ConfigMap](w, grandparent)
		first := controllertest.Get[*corev1.ConfigMap](w, child).OwnerReferences[0]
		w.Patch(child, `{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"parent","uid":%q},{"apiVersion":"v1","kind":"ConfigMap","name":"grandparent","uid":%q}]}}`, first.UID, other.UID)
		w.Delete(parent, "")
		w.Settle()
		refs := controllertest.Get[*corev1.ConfigMap](w, child).OwnerReferences
		if len(refs) != 1 || refs[0].Name != "grandparent" {
			t.Errorf("references are %v", refs)
		}
	})
}

func TestOwnerThatNeverWas(t *testing.T) {
	run(t, func(w *controllertest.World) {
		w.Run(garbage.New())
		w.Create(controllers.ConfigMap, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "stray", OwnerReferences: []metav1.OwnerReference{
			{APIVersion: "v1", Kind: "ConfigMap", Name: "nobody", UID: "no-such-uid"},
		}}})
		w.Create(controllers.ConfigMap, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "kept", OwnerReferences: []metav1.OwnerReference{
			{APIVersion: "aggregated.example.com/v1", Kind: "Thing", Name: "somebody", UID: "of-another-server"},
		}}})
		w.Settle()
		if !exists(w, controllers.ConfigMap.Key("default", "kept")) {
			t.Error("what an object of another server owns was deleted")
		}
		if exists(w, controllers.ConfigMap.Key("default", "stray")) {
			t.Error("it is still there")
		}
	})
}
