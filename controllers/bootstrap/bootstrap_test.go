package bootstrap_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cluster-bootstrap/token/jws"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/bootstrap"
	"github.com/reckon-project/reckon/controllers/controllertest"
)

func open(s *corev1.Secret) (*corev1.Secret, error) { return s, nil }

func token(id string, more map[string]string) *corev1.Secret {
	s := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "bootstrap-token-" + id}, Type: "bootstrap.kubernetes.io/token",
		Data: map[string][]byte{"token-id": []byte(id), "token-secret": []byte("0123456789abcdef"), "usage-bootstrap-signing": []byte("true")},
	}
	for k, v := range more {
		s.Data[k] = []byte(v)
	}
	return s
}

func TestClusterInfoIsSigned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		w.Run(bootstrap.NewSigner(open), bootstrap.NewTokenCleaner(open))
		key := controllers.ConfigMap.Key("kube-public", "cluster-info")
		w.Create(controllers.Secret, token("aaaaaa", nil))
		w.Create(controllers.Secret, token("bbbbbb", map[string]string{"usage-bootstrap-signing": "false"}))
		w.Create(controllers.Secret, token("cccccc", map[string]string{"expiration": time.Now().Add(time.Hour).Format(time.RFC3339)}))
		w.Create(controllers.Secret, token("dddddd", map[string]string{"token-id": "another"}))
		w.Create(controllers.ConfigMap, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: "kube-public", Name: "cluster-info"},
			Data:       map[string]string{"kubeconfig": "one", "jws-kubeconfig-eeeeee": "stale", "more": "kept"},
		})
		signed := func(content string, ids ...string) {
			t.Helper()
			w.Settle()
			data := controllertest.Get[*corev1.ConfigMap](w, key).Data
			want := []string{"kubeconfig", "more"}
			for _, id := range ids {
				want = append(want, "jws-kubeconfig-"+id)
				if !jws.DetachedTokenIsValid(data["jws-kubeconfig-"+id], content, id, "0123456789abcdef") {
					t.Errorf("the signature of %s is %q", id, data["jws-kubeconfig-"+id])
				}
			}
			slices.Sort(want)
			if got := slices.Sorted(maps.Keys(data)); !slices.Equal(got, want) {
				t.Errorf("cluster-info has %s, want %s", strings.Join(got, " "), strings.Join(want, " "))
			}
		}
		signed("one", "aaaaaa", "cccccc")
		w.Patch(key, `{"data":{"kubeconfig":"two"}}`)
		signed("two", "aaaaaa", "cccccc")
		w.Delete(controllers.Secret.Key("kube-system", "bootstrap-token-aaaaaa"), "")
		signed("two", "cccccc")
		w.Advance(59 * time.Minute)
		controllertest.Get[*corev1.Secret](w, controllers.Secret.Key("kube-system", "bootstrap-token-cccccc"))
		w.Advance(2 * time.Minute)
		if w.Snapshot().Get(controllers.Secret.Key("kube-system", "bootstrap-token-cccccc")).Exists() {
			t.Error("the token outlives its expiration")
		}
		signed("two")
		controllertest.Get[*corev1.Secret](w, controllers.Secret.Key("kube-system", "bootstrap-token-bbbbbb"))
	})
}
