package controllers_test

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// held is a mapper of every config map but "first" to "cm" that takes as long as it
// is told to for those of some names.
func held(until map[string]chan struct{}) controllers.Mapper {
	return func(_ *projections.Snapshot, c projections.Change, add func(events.Key)) {
		if wait := until[controllers.KeyOf(c).Name]; wait != nil {
			<-wait
		}
		if controllers.KeyOf(c).Name != "first" {
			add(cm)
		}
	}
}

func TestChangesThatComeTogetherShareAReconcile(t *testing.T) {
	inWorld(t, func(t *testing.T, w *controllertest.World) {
		var reconciles atomic.Int64
		first, third := make(chan struct{}), make(chan struct{})
		w.Run(controllers.New("test").Watches("", "configmaps", held(map[string]chan struct{}{"first": first, "third": third})).
			Reconcile(func(context.Context, *projections.Snapshot, events.Key) (controllers.Result, error) {
				reconciles.Add(1)
				return controllers.Result{}, nil
			}))
		w.Settle()
		for _, name := range []string{"first", "second", "third"} {
			w.Create(controllers.ConfigMap, configMap(name))
			w.Settle()
		}
		close(first)
		w.Settle()
		if n := reconciles.Load(); n != 0 {
			t.Errorf("there were %d reconciles before all that came together was seen", n)
		}
		close(third)
		w.Settle()
		if n := reconciles.Load(); n != 1 {
			t.Errorf("there were %d reconciles, not 1", n)
		}
	})
}

// What came while a reconcile was writing, and what came with its write, lead to one more.
func TestTheNewsOfAWriteIsSeenBeforeTheNextReconcile(t *testing.T) {
	inWorld(t, func(t *testing.T, w *controllertest.World) {
		var reconciles atomic.Int64
		news := make(chan struct{})
		write := child().Reconciler()
		c := controllers.New("test").Watches("", "configmaps", held(map[string]chan struct{}{"child": news})).
			Reconcile(func(ctx context.Context, s *projections.Snapshot, k events.Key) (controllers.Result, error) {
				reconciles.Add(1)
				return write(ctx, s, k)
			})
		w.Go(func(ctx context.Context) error {
			return controllers.Run(ctx, controllers.Options{
				Bus: w.Bus, Projection: w.Projection, Holder: "test",
				Intake: func(account string) http.RoundTripper { return slow{w.API.Intake(account)} },
			}, c)
		})
		w.Create(controllers.ConfigMap, configMap("cm"))
		w.Settle()
		w.Create(controllers.ConfigMap, configMap("other"))
		w.Advance(2 * time.Minute)
		if n := reconciles.Load(); n != 1 {
			t.Errorf("there were %d reconciles before the news of the first one's write were seen", n)
		}
		close(news)
		w.Settle()
		if n := reconciles.Load(); n != 2 {
			t.Errorf("there were %d reconciles, not 2", n)
		}
	})
}
