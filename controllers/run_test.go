package controllers_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

func inWorld(t *testing.T, f func(t *testing.T, w *controllertest.World)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		f(t, w)
	})
}

func configMap(name string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
	}
}

var cm = controllers.ConfigMap.Key("default", "cm")

// children creates as many config maps for "cm" as it says in data.n, without
// remembering what it has asked for.
func children(reconciles *atomic.Int64) controllers.Reconciler {
	return func(_ context.Context, s *projections.Snapshot, key events.Key) (controllers.Result, error) {
		reconciles.Add(1)
		parent, ok := projections.Get[*corev1.ConfigMap](s, key)
		if !ok {
			return controllers.Result{}, nil
		}
		have, want := 0, 0
		for range s.OwnedBy("", "configmaps", string(parent.UID)) {
			have++
		}
		if _, err := fmt.Sscan(parent.Data["n"], &want); err != nil {
			return controllers.Result{}, nil
		}
		var result controllers.Result
		for n := range want - have {
			child := configMap(fmt.Sprintf("child-%d-%d", s.Position(), n))
			child.OwnerReferences = []metav1.OwnerReference{controllers.ConfigMap.Ref(parent)}
			result.Intents = append(result.Intents, controllers.Create(controllers.ConfigMap, child).Because("Made", "%s", child.Name))
		}
		return result, nil
	}
}

func TestOwnWritesAreSeen(t *testing.T) {
	inWorld(t, func(t *testing.T, w *controllertest.World) {
		var n atomic.Int64
		w.Run(controllers.New("test").For("", "configmaps").Owns("", "configmaps", controllers.ConfigMap).Reconcile(children(&n)))
		parent := configMap("cm")
		parent.Data = map[string]string{"n": "300"}
		w.Create(controllers.ConfigMap, parent)
		w.Settle()
		if got := w.Snapshot().Len("", "configmaps"); got != 301 {
			t.Errorf("there are %d config maps: a create was repeated or lost", got)
		}
		var created *events.Event
		for e, err := range w.Bus.Log().Read(context.Background(), 1) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Type == events.Created && e.Key == cm {
				created = e
			}
			if strings.HasPrefix(e.Key.Name, "child-") && (len(e.Cause) == 0 || e.Cause[0] != created.Sequence || e.Epoch == 0 || e.Reason != "Made") {
				t.Fatalf("%s has cause %v, epoch %d and reason %q; its parent was created at %d", e.Key, e.Cause, e.Epoch, e.Reason, created.Sequence)
			}
		}
	})
}

func TestPanicAndUndeclaredType(t *testing.T) {
	inWorld(t, func(t *testing.T, w *controllertest.World) {
		var calls atomic.Int64
		w.Run(controllers.New("test").For("", "configmaps").Reconcile(func(_ context.Context, s *projections.Snapshot, key events.Key) (controllers.Result, error) {
			switch calls.Add(1) {
			case 1:
				panic("first")
			case 2:
				return controllers.Do(controllers.Progressed(s.Get(key), configMap("cm"))), nil
			}
			return controllers.Result{}, nil
		}))
		w.Create(controllers.ConfigMap, configMap("cm"))
		w.Advance(time.Minute)
		if calls.Load() != 3 {
			t.Errorf("reconciled %d times, want a panic, a refused append and a quiet end", calls.Load())
		}
		if e, err := w.Bus.Log().Last(context.Background(), cm.Subject()); err != nil || e.Type != events.Created {
			t.Errorf("the last event is %v (%v)", e, err)
		}
	})
}

func TestVoidAppendIsDecidedAgain(t *testing.T) {
	inWorld(t, func(t *testing.T, w *controllertest.World) {
		pod := controllers.Pod.Key("default", "p")
		var calls atomic.Int64
		w.Run(controllers.New("test").For("", "pods").Writes(events.Progressed).Reconcile(func(_ context.Context, s *projections.Snapshot, key events.Key) (controllers.Result, error) {
			o := s.Get(key)
			if !o.Exists() || o.Value.(*corev1.Pod).Status.Message != "" || o.Value.(*corev1.Pod).Spec.NodeName == "" {
				return controllers.Result{}, nil
			}
			changed := o.Value.(*corev1.Pod).DeepCopy()
			changed.Status.Message = "seen"
			i := controllers.Progressed(o, changed)
			if calls.Add(1) == 1 {
				i.IfVersion-- // as if a fact had slipped in
			}
			return controllers.Do(i), nil
		}))
		w.Schedule("n1")
		w.Create(controllers.Pod, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "p"}})
		w.Advance(time.Second)
		if got := controllertest.Get[*corev1.Pod](w, pod).Status.Message; got != "seen" {
			t.Errorf("message is %q", got)
		}
		if w.Snapshot().Voids() == 0 {
			t.Error("no event was void")
		}
	})
}

func TestQuietTakesChangesTogether(t *testing.T) {
	inWorld(t, func(t *testing.T, w *controllertest.World) {
		var calls atomic.Int64
		w.Run(controllers.New("test").For("", "configmaps").Reconcile(func(context.Context, *projections.Snapshot, events.Key) (controllers.Result, error) {
			calls.Add(1)
			return controllers.Result{Quiet: time.Second}, nil
		}))
		w.Create(controllers.ConfigMap, configMap("cm"))
		for n := range 50 {
			w.Patch(cm, `{"data":{"n":"%d"}}`, n)
			w.Advance(10 * time.Millisecond)
		}
		w.Advance(time.Minute)
		if calls.Load() != 2 {
			t.Errorf("reconciled %d times, want once at the beginning and once after the quiet", calls.Load())
		}
	})
}

func TestOneLeader(t *testing.T) {
	inWorld(t, func(t *testing.T, w *controllertest.World) {
		var first, second atomic.Int64
		count := func(n *atomic.Int64) *controllers.Controller {
			return controllers.New("test").For("", "configmaps").Reconcile(children(n))
		}
		options := controllers.Options{Bus: w.Bus, Projection: w.Projection, Intake: w.API.Intake, Holder: "a"}
		ctx, resign := context.WithCancel(context.Background())
		defer resign()
		w.Go(func(context.Context) error { return controllers.Run(ctx, options, count(&first)) })
		w.Settle()
		w.Go(func(ctx context.Context) error { return controllers.Run(ctx, options, count(&second)) })
		w.Create(controllers.ConfigMap, configMap("cm"))
		w.Settle()
		if first.Load() == 0 || second.Load() != 0 {
			t.Errorf("the leader reconciled %d times, the other %d times", first.Load(), second.Load())
		}
		resign()
		w.Settle()
		if second.Load() == 0 {
			t.Error("the new leader didn't look at what is there")
		}
	})
}

func TestFailureIsTold(t *testing.T) {
	inWorld(t, func(t *testing.T, w *controllertest.World) {
		w.API.Refuse = func(method string, k events.Key) error {
			if k.Name == "" && method == http.MethodPost && w.Snapshot().Len("", "configmaps") > 0 {
				return errors.New("no more")
			}
			return nil
		}
		var told atomic.Value
		w.Run(controllers.New("test").For("", "configmaps").Reconcile(func(ctx context.Context, s *projections.Snapshot, key events.Key) (controllers.Result, error) {
			if err := controllers.Failure(ctx); err != nil {
				told.Store(err.Error())
				return controllers.Result{}, nil
			}
			return controllers.Do(controllers.Create(controllers.ConfigMap, configMap("other"))), nil
		}))
		w.Create(controllers.ConfigMap, configMap("cm"))
		w.Advance(time.Second)
		if got, _ := told.Load().(string); !strings.Contains(got, "no more") {
			t.Errorf("was told %q", got)
		}
	})
}

// TestDecisionBehindTheHistory: a controller decides about an object of which the
// log has no event left.
func TestDecisionBehindTheHistory(t *testing.T) {
	inWorld(t, func(t *testing.T, w *controllertest.World) {
		w.Create(controllers.ConfigMap, configMap("cm"))
		before := w.Snapshot().Position() + 1
		trimmed := &events.Event{
			Prefix: events.PrefixDecision, Key: projections.LogKey, ID: bus.NewID(), Source: "test", Type: events.Trimmed,
			Time: time.Now(), ContentType: events.ContentPatch, Data: fmt.Appendf(nil, `{"before":%d}`, before),
		}
		if _, err := w.Bus.Log().Append(t.Context(), bus.Entry{Event: trimmed}); err != nil {
			t.Fatal(err)
		}
		if err := w.Bus.Log().Trim(t.Context(), before); err != nil {
			t.Fatal(err)
		}
		w.Settle()
		w.Run(controllers.New("test").For("", "configmaps").Writes(events.Progressed).Reconcile(func(_ context.Context, s *projections.Snapshot, key events.Key) (controllers.Result, error) {
			o := s.Get(key)
			changed := o.Value.DeepCopyObject().(*corev1.ConfigMap)
			if changed.Labels["seen"] != "" {
				return controllers.Result{}, nil
			}
			changed.Labels = map[string]string{"seen": "yes"}
			return controllers.Do(controllers.Progressed(o, changed)), nil
		}))
		w.Settle()
		if got, _ := projections.Get[*corev1.ConfigMap](w.Snapshot(), cm); got.Labels["seen"] != "yes" {
			t.Error("the decision isn't in the log")
		}
	})
}
