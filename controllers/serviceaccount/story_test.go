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

func TestStory(t *testing.T) {
	for name, controller := range map[string]*controllers.Controller{
		"default": serviceaccount.New(),
		"rootca":  serviceaccount.NewRootCA([]byte("PEM")),
	} {
		synctest.Test(t, func(t *testing.T) {
			w := controllertest.NewWorld(t)
			defer w.Stop()
			w.InFlight = 1
			w.Run(controller)
			script := controllertest.NewTranscript(w, name)
			w.Create(controllers.Namespace, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "prod"}})
			script.Step("a namespace")
			made := controllers.ServiceAcct.Key("prod", "default")
			if name == "rootca" {
				made = controllers.ConfigMap.Key("prod", serviceaccount.RootCA)
			}
			w.Delete(made, "")
			script.Step("what it got is deleted")
			if name == "rootca" {
				w.Patch(made, `{"data":{"ca.crt":"forged"}}`)
				script.Step("it is changed")
			}
			w.Patch(made, `{"metadata":{"labels":{"a":"b"}}}`)
			script.Step("it is labelled")
			script.Done()
		})
	}
}
