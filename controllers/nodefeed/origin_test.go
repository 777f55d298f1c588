package nodefeed_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/controllers/nodefeed"
	"github.com/reckon-project/reckon/events"
)

func TestPodsOnTheFeedSayWhichDecisionTheyBring(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		w.Go(func(ctx context.Context) error {
			return nodefeed.Run(ctx, nodefeed.Options{Bus: w.Bus, Projection: w.Projection, Holder: "test"})
		})
		w.Settle()
		key := controllers.Pod.Key("a", "p")
		w.Create(controllers.Pod, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "p"}})
		const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
		placed, err := w.Bus.Log().Append(t.Context(), bus.Entry{Event: &events.Event{
			Prefix: events.PrefixDecision, Key: key, ID: bus.NewID(), Source: "scheduler", Type: events.Scheduled, Time: time.Now(),
			Traceparent: trace, ContentType: events.ContentPatch, Data: []byte(`{"spec":{"nodeName":"n1"}}`),
		}})
		if err != nil {
			t.Fatal(err)
		}
		w.Settle()
		for item, err := range w.Bus.Feed().Watch(t.Context(), "feed.n1.pods.>") {
			if err != nil {
				t.Fatal(err)
			}
			h := item.Header
			if fmt.Sprint(h[nodefeed.HeaderCause]) != fmt.Sprintf("[%d]", placed) || fmt.Sprint(h[nodefeed.HeaderTraceparent]) != "["+trace+"]" {
				t.Errorf("the pod, placed by %d, came with %v", placed, h)
			}
			break
		}
	})
}
