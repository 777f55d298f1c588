package serviceaccount_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/controllers/serviceaccount"
)

func in(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: "prod", Name: name} }

func tokenFor(name, account string) *corev1.Secret {
	s := &corev1.Secret{ObjectMeta: in(name), Type: corev1.SecretTypeServiceAccountToken}
	s.Annotations = map[string]string{corev1.ServiceAccountNameKey: account}
	return s
}

func TestTokenSecrets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		var signed atomic.Int32
		w.Run(serviceaccount.NewTokens(serviceaccount.Tokens{
			Sign: func(_ context.Context, a *corev1.ServiceAccount, s *corev1.Secret) (string, error) {
				signed.Add(1)
				return fmt.Sprintf("token of %s in %s", a.Name, s.Name), nil
			},
			Open:   func(s *corev1.Secret) (*corev1.Secret, error) { return s, nil },
			RootCA: []byte("PEM"),
		}))
		bot := controllers.ServiceAcct.Key("prod", "bot")
		key := controllers.Secret.Key("prod", "bot-token")
		w.Create(controllers.ServiceAcct, &corev1.ServiceAccount{ObjectMeta: in("bot"), Secrets: []corev1.ObjectReference{{Name: "bot-token"}, {Name: "opaque"}}})
		w.Create(controllers.Secret, tokenFor("bot-token", "bot"))
		w.Create(controllers.Secret, &corev1.Secret{ObjectMeta: in("opaque"), Data: map[string][]byte{"k": []byte("v")}})
		w.Create(controllers.Secret, tokenFor("nobodys", "nobody"))
		w.Settle()
		is := func(data, want string) {
			t.Helper()
			if got := string(controllertest.Get[*corev1.Secret](w, key).Data[data]); got != want {
				t.Errorf("%s is %q, want %q", data, got, want)
			}
		}
		is("token", "token of bot in bot-token")
		is("ca.crt", "PEM")
		is("namespace", "prod")
		uid := controllertest.Get[*corev1.ServiceAccount](w, bot).UID
		if got := controllertest.Get[*corev1.Secret](w, key).Annotations[corev1.ServiceAccountUIDKey]; got != string(uid) {
			t.Errorf("the uid is %q, want %q", got, uid)
		}
		if w.Snapshot().Get(controllers.Secret.Key("prod", "nobodys")).Exists() {
			t.Error("the token of nobody stays")
		}

		w.Patch(key, `{"data":{"ca.crt":"Zm9yZ2Vk","namespace":null}}`)
		w.Settle()
		is("ca.crt", "PEM")
		is("namespace", "prod")
		if n := signed.Load(); n != 1 {
			t.Errorf("%d tokens were signed, want 1", n)
		}

		// A secret that goes is forgotten by its account; an account that goes takes its tokens.
		w.Create(controllers.Secret, tokenFor("second", "bot"))
		w.Settle()
		w.Delete(key, "")
		w.Settle()
		if got := controllertest.Get[*corev1.ServiceAccount](w, bot).Secrets; len(got) != 1 || got[0].Name != "opaque" {
			t.Errorf("the account names %v", got)
		}
		w.Delete(bot, "")
		w.Settle()
		if w.Snapshot().Get(controllers.Secret.Key("prod", "second")).Exists() {
			t.Error("a token outlives its service account")
		}
		controllertest.Get[*corev1.Secret](w, controllers.Secret.Key("prod", "opaque"))
	})
}

// An account made anew has another uid: the old one's tokens are no good to it.
func TestAccountMadeAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		w.Run(serviceaccount.NewTokens(serviceaccount.Tokens{
			Sign: func(context.Context, *corev1.ServiceAccount, *corev1.Secret) (string, error) { return "t", nil },
			Open: func(s *corev1.Secret) (*corev1.Secret, error) { return s, nil },
		}))
		w.Create(controllers.ServiceAcct, &corev1.ServiceAccount{ObjectMeta: in("bot")})
		stale := tokenFor("stale", "bot")
		stale.Annotations[corev1.ServiceAccountUIDKey] = "another"
		w.Create(controllers.Secret, stale)
		w.Settle()
		if w.Snapshot().Get(controllers.Secret.Key("prod", "stale")).Exists() {
			t.Error("the token of another uid stays")
		}
	})
}

func TestUnusedTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		reconcile := serviceaccount.NewTokenCleaner().Reconciler()
		day := func() string { return time.Now().UTC().Format("2006-01-02") }
		w.Create(controllers.ConfigMap, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "kube-apiserver-legacy-service-account-token-tracking"},
			Data:       map[string]string{"since": day()},
		})
		generated := []string{"unused", "used", "mounted"}
		account := &corev1.ServiceAccount{ObjectMeta: in("bot")}
		for _, name := range generated {
			account.Secrets = append(account.Secrets, corev1.ObjectReference{Name: name})
		}
		w.Create(controllers.ServiceAcct, account)
		for _, name := range append(slices.Clone(generated), "made-by-hand") {
			w.Create(controllers.Secret, tokenFor(name, "bot"))
		}
		pod := &corev1.Pod{ObjectMeta: in("p")}
		pod.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "mounted"}}}}
		w.Create(controllers.Pod, pod)
		look := func() { // as the runtime does; its clock would tick for two years
			t.Helper()
			for o := range w.Snapshot().List("", "secrets", "prod") {
				result, err := reconcile(controllers.WithCall(context.Background(), time.Now(), nil), w.Snapshot(), o.Key)
				if err != nil {
					t.Fatal(err)
				}
				for _, i := range result.Intents {
					switch i.Verb {
					case controllers.VerbPatch:
						w.Patch(i.Key, "%s", i.Data)
					case controllers.VerbDelete:
						w.Delete(i.Key, "")
					default:
						t.Errorf("%s %s", i.Verb, i.Key)
					}
				}
			}
			w.Settle()
		}
		state := func(unused string) {
			t.Helper()
			for _, name := range append(slices.Clone(generated), "made-by-hand") {
				got := "gone"
				if o := w.Snapshot().Get(controllers.Secret.Key("prod", name)); o.Exists() {
					got = "there"
					if o.Meta().GetLabels()["kubernetes.io/legacy-token-invalid-since"] != "" {
						got = "marked"
					}
				}
				if want := map[bool]string{true: unused, false: "there"}[name == "unused"]; got != want {
					t.Errorf("%s is %s, want %s", name, got, want)
				}
			}
		}
		w.Advance(serviceaccount.Unused - 24*time.Hour)
		w.Patch(controllers.Secret.Key("prod", "used"), `{"metadata":{"labels":{"kubernetes.io/legacy-token-last-used":%q}}}`, day())
		look()
		state("there")
		w.Advance(4 * 24 * time.Hour)
		look()
		state("marked")
		w.Advance(serviceaccount.Unused - 10*24*time.Hour)
		w.Patch(controllers.Secret.Key("prod", "used"), `{"metadata":{"labels":{"kubernetes.io/legacy-token-last-used":%q}}}`, day())
		look()
		state("marked")
		w.Advance(15 * 24 * time.Hour)
		look()
		state("gone")
	})
}
