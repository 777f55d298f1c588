package serviceaccount_test

import (
	"testing"
	"testing/synctest"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/controllers/serviceaccount"
)

func TestNamespaceGetsItsObjects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		w.Run(serviceaccount.New(), serviceaccount.NewRootCA([]byte("PEM")))
		w.Create(controllers.Namespace, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "prod"}})
		w.Settle()
		controllertest.Get[*corev1.ServiceAccount](w, controllers.ServiceAcct.Key("prod", "default"))
		ca := controllers.ConfigMap.Key("prod", serviceaccount.RootCA)
		if got := controllertest.Get[*corev1.ConfigMap](w, ca).Data["ca.crt"]; got != "PEM" {
			t.Errorf("ca.crt is %q", got)
		}

		w.Delete(controllers.ServiceAcct.Key("prod", "default"), "")
		w.Patch(ca, `{"data":{"ca.crt":"forged","more":"x"}}`)
		w.Settle()
		controllertest.Get[*corev1.ServiceAccount](w, controllers.ServiceAcct.Key("prod", "default"))
		if got := controllertest.Get[*corev1.ConfigMap](w, ca).Data; len(got) != 1 || got["ca.crt"] != "PEM" {
			t.Errorf("data is %v", got)
		}
	})
}
