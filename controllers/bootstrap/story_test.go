package bootstrap_test

import (
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/bootstrap"
	"github.com/reckon-project/reckon/controllers/controllertest"
)

func TestStory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		w.InFlight = 1
		w.Run(bootstrap.NewSigner(open), bootstrap.NewTokenCleaner(open))
		script := controllertest.NewTranscript(w, "token")
		w.Create(controllers.ConfigMap, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: "kube-public", Name: "cluster-info"}, Data: map[string]string{"kubeconfig": "one"},
		})
		script.Step("a cluster that nobody may join")
		w.Create(controllers.Secret, token("aaaaaa", map[string]string{"expiration": time.Now().Add(time.Hour).Format(time.RFC3339)}))
		script.Step("a token for an hour")
		w.Create(controllers.Secret, token("bbbbbb", map[string]string{"usage-bootstrap-signing": "false"}))
		script.Step("one that signs nothing")
		w.Advance(2 * time.Hour)
		script.Step("two hours later")
		script.Done()
	})
}
