package namespace_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/controllers/namespace"
	"github.com/reckon-project/reckon/controllers/podgc"
	"github.com/reckon-project/reckon/controllers/serviceaccount"
	"github.com/reckon-project/reckon/events"
)

func TestDeletion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		w.Run(namespace.New(nil), podgc.New(), serviceaccount.New())
		w.Create(controllers.Namespace, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "prod"}})
		w.Create(controllers.Node, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}})
		w.Create(controllers.Pod, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "prod", Name: "p"}})
		w.Create(controllers.ConfigMap, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "prod", Name: "held", Finalizers: []string{"example.com/hold"}}})
		w.Create(controllers.ConfigMap, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "other", Name: "stays"}})
		w.Schedule("n1")
		w.Settle()

		w.Delete(prod, "")
		w.Advance(10 * time.Second)
		ns := controllertest.Get[*corev1.Namespace](w, prod)
		messages := map[corev1.NamespaceConditionType]string{}
		for _, c := range ns.Status.Conditions {
			if c.Status == corev1.ConditionTrue {
				messages[c.Type] = c.Message
			}
		}
		if got, want := messages[corev1.NamespaceContentRemaining], "Some resources are remaining: configmaps. has 1 resource instances"; got != want {
			t.Errorf("remaining: %q, want %q", got, want)
		}
		if got, want := messages[corev1.NamespaceFinalizersRemaining], "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances"; got != want {
			t.Errorf("finalizers: %q, want %q", got, want)
		}

		w.Patch(controllers.ConfigMap.Key("prod", "held"), `{"metadata":{"finalizers":null}}`)
		w.Advance(10 * time.Second)
		if w.Snapshot().Get(prod).Exists() {
			t.Error("the namespace is still there")
		}
		controllertest.Get[*corev1.ConfigMap](w, controllers.ConfigMap.Key("other", "stays"))
	})
}

var prod = controllers.Namespace.Key("", "prod")

func in(name string, finalizers ...string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: "prod", Name: name, Finalizers: finalizers}
}

func custom(kind controllers.Kind, namespace, name string, content map[string]any) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{}}
	for k, v := range content {
		u.Object[k] = v
	}
	u.SetAPIVersion(kind.APIVersion())
	u.SetKind(kind.Kind)
	u.SetNamespace(namespace)
	u.SetName(name)
	return u
}

// condition is a condition that holds, as reason and message; "" if it doesn't.
func condition(w *controllertest.World, t corev1.NamespaceConditionType) string {
	for _, c := range controllertest.Get[*corev1.Namespace](w, prod).Status.Conditions {
		if c.Type == t && c.Status == corev1.ConditionTrue {
			return c.Reason + ": " + c.Message
		}
	}
	return ""
}

func expect(t *testing.T, w *controllertest.World, want map[corev1.NamespaceConditionType]string) {
	t.Helper()
	for _, c := range []corev1.NamespaceConditionType{corev1.NamespaceDeletionDiscoveryFailure, corev1.NamespaceDeletionGVParsingFailure,
		corev1.NamespaceDeletionContentFailure, corev1.NamespaceContentRemaining, corev1.NamespaceFinalizersRemaining} {
		if got := condition(w, c); got != want[c] {
			t.Errorf("%s is %q, want %q", c, got, want[c])
		}
	}
}

// Nothing that a pod may need goes before the pods have.
func TestPodsGoFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		w.Run(namespace.New(nil), podgc.New())
		cats := controllers.Kind{Group: "example.com", Version: "v1", Kind: "Cat", Resource: "cats"}
		w.Create(controllers.Namespace, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "prod"}})
		w.Create(controllers.Node, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}})
		w.Create(controllers.ConfigMap, &corev1.ConfigMap{ObjectMeta: in("config")})
		w.Create(cats, custom(cats, "prod", "tom", nil))
		w.Create(controllers.Pod, &corev1.Pod{ObjectMeta: in("last", "example.com/hold")})
		w.Schedule("n1")
		w.Settle()
		w.Delete(prod, "")
		w.Advance(10 * time.Second)
		controllertest.Get[*corev1.ConfigMap](w, controllers.ConfigMap.Key("prod", "config"))
		expect(t, w, map[corev1.NamespaceConditionType]string{
			corev1.NamespaceContentRemaining:    "SomeResourcesRemain: Some resources are remaining: pods. has 1 resource instances",
			corev1.NamespaceFinalizersRemaining: "SomeFinalizersRemain: Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances",
		})
		w.Patch(controllers.Pod.Key("prod", "last"), `{"metadata":{"finalizers":null}}`)
		w.Advance(time.Second)
		if w.Snapshot().Get(prod).Exists() || w.Snapshot().Get(cats.Key("prod", "tom")).Exists() {
			t.Error("the namespace is still there")
		}
	})
}

// What the API refuses to delete is told, and keeps nothing else.
func TestRefusedDelete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		var accept atomic.Bool
		w.API.Refuse = func(method string, k events.Key) error {
			if !accept.Load() && method == "DELETE" && k.Name == "a" {
				return apierrors.NewForbidden(schema.GroupResource{Resource: k.Resource}, k.Name, errors.New("a webhook says no"))
			}
			return nil
		}
		w.Run(namespace.New(nil))
		w.Create(controllers.Namespace, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "prod"}})
		for _, name := range []string{"a", "b", "c"} {
			w.Create(controllers.ConfigMap, &corev1.ConfigMap{ObjectMeta: in(name)})
		}
		w.Settle()
		w.Delete(prod, "")
		w.Advance(5 * time.Second)
		expect(t, w, map[corev1.NamespaceConditionType]string{
			corev1.NamespaceDeletionContentFailure: `ContentDeletionFailed: Failed to delete all resource types, 1 remaining: configmaps "a" is forbidden: a webhook says no`,
			corev1.NamespaceContentRemaining:       "SomeResourcesRemain: Some resources are remaining: configmaps. has 1 resource instances",
		})
		if n := w.Snapshot().Len("", "configmaps"); n != 1 {
			t.Errorf("%d config maps are left, want the one", n)
		}
		accept.Store(true)
		w.Advance(2 * time.Minute)
		if w.Snapshot().Get(prod).Exists() {
			t.Error("the namespace is still there")
		}
	})
}

// A server of other kinds that doesn't answer may keep something in the namespace.
func TestUnansweredAPI(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		w.Run(namespace.New(nil))
		services := controllers.Kind{Group: "apiregistration.k8s.io", Version: "v1", Kind: "APIService", Resource: "apiservices"}
		status := func(s string) map[string]any {
			return map[string]any{"conditions": []any{map[string]any{"type": "Available", "status": s}}}
		}
		w.Create(services, custom(services, "", "v1.apps", map[string]any{"spec": map[string]any{"group": "apps", "version": "v1"}, "status": status("True")}))
		w.Create(services, custom(services, "", "v1beta1.metrics.k8s.io", map[string]any{
			"spec": map[string]any{"group": "metrics.k8s.io", "version": "v1beta1", "service": map[string]any{"name": "metrics"}}, "status": status("False")}))
		w.Create(controllers.Namespace, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "prod"}})
		w.Create(controllers.ConfigMap, &corev1.ConfigMap{ObjectMeta: in("a")})
		w.Settle()
		w.Delete(prod, "")
		w.Advance(5 * time.Second)
		expect(t, w, map[corev1.NamespaceConditionType]string{
			corev1.NamespaceDeletionDiscoveryFailure: "DiscoveryFailed: Discovery failed for some groups, 1 failing: unable to retrieve the complete list of server APIs: metrics.k8s.io/v1beta1: stale GroupVersion discovery: metrics.k8s.io/v1beta1",
		})
		if n := w.Snapshot().Len("", "configmaps"); n != 0 {
			t.Errorf("%d config maps are left", n)
		}
		w.PatchStatus(services.Key("", "v1beta1.metrics.k8s.io"), `{"status":{"conditions":[{"type":"Available","status":"True"}]}}`)
		w.Advance(time.Second)
		if w.Snapshot().Get(prod).Exists() {
			t.Error("the namespace is still there")
		}
	})
}

// Emptying a big namespace costs an event for each object, and few others.
func TestEventsPerObject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		w.Run(namespace.New(nil))
		w.Create(controllers.Namespace, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "prod"}})
		const objects = 600
		for i := range objects {
			w.Create(controllers.ConfigMap, &corev1.ConfigMap{ObjectMeta: in(fmt.Sprintf("c%d", i))})
		}
		w.Settle()
		before := w.Snapshot().Position()
		w.Delete(prod, "")
		w.Advance(5 * time.Second)
		if w.Snapshot().Get(prod).Exists() {
			t.Fatal("the namespace is still there")
		}
		if more := w.Snapshot().Position() - before - objects; more > 6 {
			t.Errorf("%d events besides those of the objects", more)
		}
	})
}
