package nodefeed_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/controllers/nodefeed"
	"github.com/reckon-project/reckon/projections"
)

// watcher writes down what comes by on the feed.
type watcher struct {
	mu    sync.Mutex
	lines []string
}

func (f *watcher) follow(w *controllertest.World) {
	w.Go(func(ctx context.Context) error {
		for item, err := range w.Bus.Feed().Watch(ctx, "feed.>") {
			if err != nil {
				return err
			}
			what := "gone"
			if item.Data != nil {
				var v struct {
					Pods []string
					Data map[string]string
				}
				if err := json.Unmarshal(item.Data, &v); err != nil {
					return err
				}
				what = fmt.Sprint(v.Data)
				if strings.Contains(item.Subject, ".manifest.") {
					what = fmt.Sprint(len(v.Pods), " pods")
				}
			}
			f.mu.Lock()
			f.lines = append(f.lines, item.Subject+" "+what)
			f.mu.Unlock()
		}
		return nil
	})
}

func (f *watcher) take(w *controllertest.World) string {
	w.Settle()
	f.mu.Lock()
	defer f.mu.Unlock()
	out := strings.Join(f.lines, "\n")
	f.lines = nil
	return out
}

func want(t *testing.T, step, got, want string) {
	t.Helper()
	if strings.TrimSpace(got) != strings.TrimSpace(want) {
		t.Errorf("%s: the feed was\n%s\nnot\n%s", step, got, want)
	}
}

func TestFeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		w.Go(func(ctx context.Context) error {
			return nodefeed.Run(ctx, nodefeed.Options{
				Bus: w.Bus, Projection: w.Projection, Holder: "test",
				Open: func(s *corev1.Secret) (*corev1.Secret, error) {
					s = s.DeepCopy()
					s.Data["k"] = []byte("opened")
					return s, nil
				},
			})
		})
		var feed watcher
		feed.follow(w)
		want(t, "empty cluster", feed.take(w), "feed._.manifest._._ 0 pods")

		w.Create(controllers.Node, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}})
		w.Create(controllers.ConfigMap, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "cm.x"}, Data: map[string]string{"v": "1"}})
		w.Create(controllers.ConfigMap, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "unused"}})
		feed.take(w)

		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "p"}}
		pod.Spec.Containers = []corev1.Container{{Name: "c", EnvFrom: []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "cm.x"}}}}}}
		pod.Spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "pull"}}
		w.Create(controllers.Pod, pod)
		want(t, "unbound pod", feed.take(w), "")
		w.Schedule("n1")
		want(t, "bound pod", feed.take(w), "feed.n1.configmaps.a.cm%2Ex map[v:1]\nfeed.n1.pods.a.p map[]")

		w.Create(controllers.Secret, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "pull"}, Data: map[string][]byte{"k": []byte("sealed")}})
		want(t, "late secret", feed.take(w), "feed.n1.secrets.a.pull map[k:b3BlbmVk]")
		w.Patch(controllers.ConfigMap.Key("a", "cm.x"), `{"data":{"v":"2"}}`)
		want(t, "changed config", feed.take(w), "feed.n1.configmaps.a.cm%2Ex map[v:2]")
		w.Advance(time.Minute)
		if got := feed.take(w); !strings.Contains(got, "feed.n1.manifest._.n1 1 pods") {
			t.Errorf("the manifest can wait: the feed was\n%s", got)
		}
		bound, _ := projections.Get[*corev1.Pod](w.Snapshot(), controllers.Pod.Key("a", "p"))
		if err := w.Nodes.Report(t.Context(), bound, controllertest.Running); err != nil {
			t.Fatal(err)
		}
		want(t, "a report", feed.take(w), "")
		w.Advance(time.Minute)
		want(t, "the report", feed.take(w), "feed.n1.pods.a.p map[]")
		w.Advance(time.Minute)
		want(t, "nothing happens", feed.take(w), "")

		w.Delete(controllers.Pod.Key("a", "p"), "")
		feed.take(w)
		w.Delete(controllers.Pod.Key("a", "p"), "")
		got := feed.take(w)
		for _, line := range []string{"feed.n1.pods.a.p gone", "feed.n1.configmaps.a.cm%2Ex gone", "feed.n1.secrets.a.pull gone"} {
			if !strings.Contains(got, line) {
				t.Errorf("deleted pod: no %q in\n%s", line, got)
			}
		}
	})
}
