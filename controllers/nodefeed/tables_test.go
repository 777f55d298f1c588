package nodefeed

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
	"github.com/reckon-project/reckon/events"
)

// TestPodOnAnotherNodeIsBuried: an earlier leader put a pod on a node that it
// isn't bound to.
func TestPodOnAnotherNodeIsBuried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		w.Create(controllers.Pod, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "p"}, Spec: corev1.PodSpec{NodeName: "n1"}})
		w.Settle()
		ctx, cancel := context.WithCancel(t.Context())
		out := newWriter(ctx, Options{Bus: w.Bus}, 2)
		defer out.close()
		defer cancel()
		tables := newTables(out)
		tables.all(w.Snapshot())
		const subject = "feed.n2.pods.a.p"
		old := bus.FeedItem{Subject: subject, Header: events.Header{HeaderEpoch: {"1"}, HeaderPosition: {"1"}}, Data: []byte(`{}`)}
		if err := w.Bus.Feed().Put(ctx, subject, old.Header, old.Data); err != nil {
			t.Fatal(err)
		}
		tables.restore(w.Snapshot(), old)
		w.Settle()
		for item, err := range w.Bus.Feed().Watch(ctx, subject) {
			if err != nil {
				t.Fatal(err)
			}
			if item.Data != nil || item.Header[HeaderEpoch][0] != "2" {
				t.Errorf("the feed of n2 holds %s of epoch %s", item.Data, item.Header[HeaderEpoch])
			}
			break
		}
	})
}

// TestCauseAndTraceAreOfOneDecision: changes come in slices, and the snapshot may
// be past the end of theirs.
func TestCauseAndTraceAreOfOneDecision(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		w.Create(controllers.Pod, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "p"}})
		const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
		placed, err := w.Bus.Log().Append(t.Context(), bus.Entry{Event: &events.Event{
			Prefix: events.PrefixDecision, Key: controllers.Pod.Key("a", "p"), ID: bus.NewID(), Source: "scheduler", Type: events.Scheduled,
			Time: time.Now(), Traceparent: trace, ContentType: events.ContentPatch, Data: []byte(`{"spec":{"nodeName":"n1"}}`),
		}})
		if err != nil {
			t.Fatal(err)
		}
		w.Settle()
		ctx, cancel := context.WithCancel(t.Context())
		out := newWriter(ctx, Options{Bus: w.Bus}, 1)
		defer out.close()
		defer cancel()
		tables := newTables(out)
		for changes, err := range w.Projection.Changes(ctx, 0) {
			if err != nil {
				t.Fatal(err)
			}
			for i := range changes {
				tables.changed(w.Snapshot(), changes[i:i+1])
			}
			break
		}
		w.Settle()
		for item, err := range w.Bus.Feed().Watch(ctx, "feed.n1.pods.>") {
			if err != nil {
				t.Fatal(err)
			}
			if h := item.Header; fmt.Sprint(h[HeaderCause]) != fmt.Sprintf("[%d]", placed) || fmt.Sprint(h[HeaderTraceparent]) != "["+trace+"]" {
				t.Errorf("the pod, placed by %d in trace %s, came with %v", placed, trace, h)
			}
			break
		}
	})
}
