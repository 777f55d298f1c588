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
)

func TestStory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		w.InFlight = 1
		w.Run(namespace.New(nil))
		script := controllertest.NewTranscript(w, "deletion")
		step := func(name string) {
			w.Advance(time.Minute)
			script.Step("%s", name)
			if w.Snapshot().Get(prod).Exists() {
				script.Say("then", condition(w, corev1.NamespaceContentRemaining)+"\n"+condition(w, corev1.NamespaceFinalizersRemaining))
			}
		}
		w.Create(controllers.Namespace, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "prod"}})
		w.Create(controllers.ConfigMap, &corev1.ConfigMap{ObjectMeta: in("goes")})
		w.Create(controllers.ConfigMap, &corev1.ConfigMap{ObjectMeta: in("held", "example.com/hold")})
		step("a namespace with two objects")
		w.Delete(prod, "")
		step("it is deleted")
		w.Patch(controllers.ConfigMap.Key("prod", "held"), `{"metadata":{"finalizers":null}}`)
		step("nobody holds the last object any more")
		script.Done()
	})
}
