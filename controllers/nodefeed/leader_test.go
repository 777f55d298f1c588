package nodefeed_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/controllers/nodefeed"
)

// A new leader says of every node what its feed holds, under a newer epoch.
func TestNewLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		for _, node := range []string{"n1", "n2"} {
			w.Create(controllers.Node, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node}})
		}
		w.Create(controllers.Service, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "svc"}})
		w.Create(controllers.Pod, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "p"}})
		w.Schedule("n1")
		w.Settle()
		o := nodefeed.Options{Bus: w.Bus, Projection: w.Projection, Holder: "a"}
		ctx, resign := context.WithCancel(context.Background())
		w.Go(func(context.Context) error { return nodefeed.Run(ctx, o) })
		w.Settle()
		first := manifests(t, w)
		resign()
		w.Go(func(ctx context.Context) error { return nodefeed.Run(ctx, o) })
		w.Settle()
		second := manifests(t, w)
		want := map[string]string{
			"feed._.manifest._._":   "0 pods [nodes/_/n1 nodes/_/n2 services/default/svc]",
			"feed.n1.manifest._.n1": "1 pods [pods/default/p]",
			"feed.n2.manifest._.n2": "0 pods []",
		}
		for subject, holds := range want {
			if first[subject].holds != holds || second[subject].holds != holds || second[subject].epoch <= first[subject].epoch {
				t.Errorf("%s: first %+v, then %+v; want %s under a newer epoch", subject, first[subject], second[subject], holds)
			}
		}
	})
}

type said struct {
	epoch uint64
	holds string
}

// manifests reads the manifests on the feed.
func manifests(t *testing.T, w *controllertest.World) map[string]said {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	out := map[string]said{}
	for item, err := range w.Bus.Feed().Watch(ctx, "feed.*.manifest.*.*") {
		if err != nil {
			t.Fatal(err)
		}
		var m struct {
			Epoch uint64
			Pods  []string
			Keys  []string
		}
		if err := json.Unmarshal(item.Data, &m); err != nil {
			t.Fatal(err)
		}
		slices.Sort(m.Keys)
		out[item.Subject] = said{m.Epoch, fmt.Sprintf("%d pods [%s]", len(m.Pods), strings.Join(m.Keys, " "))}
		if len(out) == 3 {
			break
		}
	}
	return out
}
