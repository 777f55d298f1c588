package controllers_test

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// slow is a way in that takes a minute.
type slow struct{ http.RoundTripper }

func (s slow) RoundTrip(r *http.Request) (*http.Response, error) {
	select {
	case <-time.After(time.Minute):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	return s.RoundTripper.RoundTrip(r)
}

// child makes one config map for "cm".
func child() *controllers.Controller {
	return controllers.New("test").For("", "configmaps").Reconcile(func(_ context.Context, s *projections.Snapshot, key events.Key) (controllers.Result, error) {
		if key.Name != "cm" || s.Get(controllers.ConfigMap.Key("default", "child")).Exists() {
			return controllers.Result{}, nil
		}
		return controllers.Do(controllers.Create(controllers.ConfigMap, configMap("child")).Because("Made", "a child")), nil
	})
}

func TestAStopWaitsForWhatIsUnderWay(t *testing.T) {
	for name, c := range map[string]struct {
		patience time.Duration
		done     bool
	}{"as long as it takes": {2 * time.Minute, true}, "but no longer than it may": {10 * time.Second, false}} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *controllertest.World) {
				ctx, stop := context.WithCancel(context.Background())
				defer stop()
				ended := make(chan error, 1)
				go func() {
					ended <- controllers.Run(ctx, controllers.Options{
						Bus: w.Bus, Projection: w.Projection, Holder: "test", StopTimeout: c.patience,
						Intake: func(account string) http.RoundTripper { return slow{w.API.Intake(account)} },
					}, child())
				}()
				w.Create(controllers.ConfigMap, configMap("cm"))
				w.Settle()
				stop()
				if err := <-ended; err != nil {
					t.Errorf("it ended with %v", err)
				}
				if made := w.Snapshot().Get(controllers.ConfigMap.Key("default", "child")).Exists(); made != c.done {
					t.Errorf("what was under way is done: %v", made)
				}
				lead, err := w.Bus.Lead(context.Background(), "controllers", "next")
				if err != nil {
					t.Fatal(err)
				}
				lead.Release()
			})
		})
	}
}

func TestADryRunOnlyTells(t *testing.T) {
	inWorld(t, func(t *testing.T, w *controllertest.World) {
		lead, err := w.Bus.Lead(context.Background(), "controllers", "the real one")
		if err != nil {
			t.Fatal(err)
		}
		defer lead.Release()
		var told bytes.Buffer
		w.Go(func(ctx context.Context) error {
			return controllers.Run(ctx, controllers.Options{Bus: w.Bus, Projection: w.Projection, Holder: "test", DryRun: &told}, child())
		})
		w.Create(controllers.ConfigMap, configMap("cm"))
		w.Settle()
		w.Patch(cm, `{"data":{"a":"b"}}`)
		w.Advance(time.Hour)
		if w.Snapshot().Len("", "configmaps") != 1 {
			t.Error("it did something")
		}
		if said := told.String(); strings.Count(said, "\n") != 1 || !strings.HasPrefix(said, "test: create configmaps/default/child {") || !strings.HasSuffix(said, "(Made: a child)\n") {
			t.Errorf("it tells:\n%s", said)
		}
	})
}
