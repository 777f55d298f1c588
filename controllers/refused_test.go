package controllers_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// TestRefusedIntentsHoldNothingUp: what wasn't started after a failure doesn't
// count among the intents under way.
func TestRefusedIntentsHoldNothingUp(t *testing.T) {
	inWorld(t, func(t *testing.T, w *controllertest.World) {
		var full atomic.Bool
		var tries atomic.Int64 // the first is the test's own
		full.Store(true)
		w.API.Refuse = func(_ string, k events.Key) error {
			if full.Load() && k.Name == "" && tries.Add(1) > 1 {
				return errors.New("there is no room")
			}
			return nil
		}
		w.InFlight = 1
		w.Run(controllers.New("test").For("", "configmaps").Reconcile(func(_ context.Context, s *projections.Snapshot, key events.Key) (controllers.Result, error) {
			if key != cm || s.Len("", "configmaps") == 3 {
				return controllers.Result{}, nil
			}
			return controllers.Do(controllers.Create(controllers.ConfigMap, configMap("first")), controllers.Create(controllers.ConfigMap, configMap("second"))), nil
		}))
		w.Create(controllers.ConfigMap, configMap("cm"))
		w.Advance(time.Minute)
		full.Store(false)
		w.Advance(2 * time.Minute)
		if n := w.Snapshot().Len("", "configmaps"); n != 3 {
			t.Errorf("there are %d config maps", n)
		}
	})
}
