package nodefeed_test

import (
	"context"
	"testing"
	"testing/synctest"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/controllers/nodefeed"
	"github.com/reckon-project/reckon/events"
)

// TestOverwrittenValuesComeBack: an earlier leader still puts, over values that
// nodes may not have seen; they are put again, and what isn't there is buried.
func TestOverwrittenValuesComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		w.Go(func(ctx context.Context) error {
			return nodefeed.Run(ctx, nodefeed.Options{Bus: w.Bus, Projection: w.Projection, Holder: "test"})
		})
		w.Create(controllers.Node, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}})
		w.Create(controllers.Pod, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "p"}})
		w.Schedule("n1")
		w.Settle()
		old := events.Header{nodefeed.HeaderEpoch: {"0"}, nodefeed.HeaderPosition: {"1"}}
		for _, subject := range []string{"feed.n1.pods.a.p", "feed.n1.pods.a.ghost"} {
			if err := w.Bus.Feed().Put(t.Context(), subject, old, []byte(`{"metadata":{"name":"old"}}`)); err != nil {
				t.Fatal(err)
			}
		}
		w.Settle()
		for item, err := range w.Bus.Feed().Watch(t.Context(), "feed.n1.pods.>") {
			if err != nil {
				t.Fatal(err)
			}
			if item.Header[nodefeed.HeaderEpoch][0] == "0" || (item.Data == nil) != (item.Subject == "feed.n1.pods.a.ghost") {
				t.Errorf("the feed holds %s of epoch %s: %s", item.Subject, item.Header[nodefeed.HeaderEpoch], item.Data)
			}
			if item.Subject == "feed.n1.pods.a.p" {
				break
			}
		}
	})
}
