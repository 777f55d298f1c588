package controllers_test

import (
	"bytes"
	"context"
	"io"
	"iter"
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// slowLog is followed a second late.
type slowLog struct{ bus.Log }

func (l slowLog) Follow(ctx context.Context, from uint64, filters ...string) iter.Seq2[[]*events.Event, error] {
	return func(yield func([]*events.Event, error) bool) {
		for batch, err := range l.Log.Follow(ctx, from, filters...) {
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
			if !yield(batch, err) {
				return
			}
		}
	}
}

// silent carries requests out and says that it failed.
type silent struct {
	http.RoundTripper
	times *atomic.Int64 // how often it still does so
}

func (s silent) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := s.RoundTripper.RoundTrip(r)
	if err != nil || s.times.Add(-1) < 0 {
		return resp, err
	}
	<-time.After(time.Millisecond) // what else was started has failed by then
	resp.StatusCode = http.StatusInternalServerError
	resp.Body = io.NopCloser(bytes.NewReader([]byte(`{"kind":"Status","code":500,"message":"the outcome wasn't learnt"}`)))
	return resp, nil
}

// TestUnsureWritesAreSeen: what failed may have been carried out all the same, and
// is not asked for again before that is known; also when something else failed first.
func TestUnsureWritesAreSeen(t *testing.T) {
	for _, conflict := range []bool{false, true} {
		unsureWrite(t, conflict)
	}
}

func unsureWrite(t *testing.T, conflict bool) {
	inWorld(t, func(t *testing.T, w *controllertest.World) {
		behind := projections.New(slowLog{w.Bus.Log()})
		w.Go(behind.Run)
		var failures atomic.Int64
		failures.Store(1)
		c := controllers.New("test").For("", "configmaps").Writes(events.Progressed).Reconcile(func(_ context.Context, s *projections.Snapshot, key events.Key) (controllers.Result, error) {
			if key != cm || s.Len("", "configmaps") > 1 {
				return controllers.Result{}, nil
			}
			name := "child-" + strconv.FormatInt(failures.Load(), 10)
			create := controllers.Create(controllers.ConfigMap, configMap(name))
			if !conflict {
				return controllers.Do(create), nil
			}
			outdated := *s.Get(key)
			outdated.Decision--
			changed := configMap("cm")
			changed.Data = map[string]string{"a": "b"}
			return controllers.Do(controllers.Progressed(&outdated, changed), create), nil
		})
		w.Go(func(ctx context.Context) error {
			intake := func(user string) http.RoundTripper { return silent{w.API.Intake(user), &failures} }
			return controllers.Run(ctx, controllers.Options{Bus: w.Bus, Projection: behind, Intake: intake, Holder: "test"}, c)
		})
		w.Create(controllers.ConfigMap, configMap("cm"))
		w.Advance(time.Minute)
		if n := w.Snapshot().Len("", "configmaps"); n != 2 {
			t.Errorf("with a conflict before it %t: there are %d config maps: the child was made again", conflict, n)
		}
	})
}
