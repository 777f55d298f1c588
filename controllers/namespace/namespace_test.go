package namespace_test

import (
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/controllers/namespace"
	"github.com/reckon-project/reckon/controllers/podgc"
	"github.com/reckon-project/reckon/controllers/serviceaccount"
)

func TestDeletion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		w.Run(namespace.New(nil), podgc.New(), serviceaccount.New())
		prod := controllers.Namespace.Key("", "prod")
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
