package simulation

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/builtin"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/controllers/nodefeed"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
	"github.com/reckon-project/reckon/scheduler"
)

// checkpointEvery is small, so that restarts begin from checkpoints.
const checkpointEvery = 60

// replica is a server's control plane: all of it stands for leadership.
type replica struct {
	*process
	projection atomic.Pointer[projections.Projection]
}

func (w *world) replica(name string) *replica {
	r := &replica{}
	r.process = w.process(name, func(ctx context.Context, p *process) {
		projection := w.projection(ctx, p)
		r.projection.Store(projection)
		p.goes(ctx, "scheduler", scheduler.New(scheduler.Options{
			Bus: w.connect(name + "/scheduler"), Projection: projection, Holder: name,
		}).Run)
		p.goes(ctx, "nodefeed", func(ctx context.Context) error {
			return nodefeed.Run(ctx, nodefeed.Options{Bus: w.connect(name + "/nodefeed"), Projection: projection, Holder: name, Logger: w.logger})
		})
		conn := w.connect(name + "/controllers")
		p.goes(ctx, "controllers", func(ctx context.Context) error {
			intake := func(controller string) http.RoundTripper { return gate{w, conn, w.api.Intake(controller), controller} }
			return controllers.Run(ctx, controllers.Options{Bus: conn, Projection: projection, Intake: intake, Holder: name, Logger: w.logger},
				builtin.Controllers(builtin.Settings{Bus: conn, NodeGrace: nodeGrace})...)
		})
	})
	return r
}

// projection makes and runs a process's projection, from the newest checkpoint.
func (w *world) projection(ctx context.Context, p *process) *projections.Projection {
	conn := w.connect(p.name + "/log")
	projection := projections.New(conn.Log(), projections.Logger(w.logger),
		projections.WithCheckpoints(projections.Checkpoints{Blobs: conn.Blobs(), Every: checkpointEvery}))
	if err := projection.Restore(ctx, conn.Blobs()); err != nil {
		p.fails(fmt.Errorf("restore: %w", err))
	}
	p.goes(ctx, "projection", projection.Run)
	return projection
}

// gateway is the API server; its projection is started anew when it is killed.
func (w *world) gateway() *replica {
	r := &replica{}
	r.process = w.process("gateway", func(ctx context.Context, p *process) {
		projection := w.projection(ctx, p)
		r.projection.Store(projection)
		conn := w.connect("gateway")
		if w.api == nil {
			w.api = &controllertest.API{Clock: time.Now}
		}
		w.api.Bus, w.api.Projection = conn, projection
	})
	return r
}

// gate lets API requests in, one at a time, and loses some.
type gate struct {
	world *world
	conn  *conn
	api   http.RoundTripper
	user  string
}

// RoundTrip implements http.RoundTripper.
func (g gate) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	h := fnv.New32a()
	h.Write(body)
	key := fmt.Sprintf("request %s %s %s %s %08x", g.conn.name, g.user, r.Method, r.URL.Path, h.Sum32())
	nth, err := g.conn.turn(r.Context(), key)
	if err != nil {
		return nil, err
	}
	f := g.conn.fateOf(key, nth, false)
	if f == lost || g.world.server.down {
		return nil, fmt.Errorf("%s: %w: connection refused", key, events.ErrUnavailable)
	}
	answer, err := g.serve(r, body)
	if err != nil {
		return nil, err
	}
	if _, err := g.conn.turn(r.Context(), "answer to "+key); err != nil {
		return nil, err
	}
	if f == unanswered {
		return nil, fmt.Errorf("%s: %w: connection lost", key, events.ErrUnavailable)
	}
	return answer, nil
}

func (g gate) serve(r *http.Request, body []byte) (*http.Response, error) {
	if r.Method == http.MethodGet {
		return g.get(r)
	}
	r = r.Clone(r.Context())
	r.Body = io.NopCloser(bytes.NewReader(body))
	return g.api.RoundTrip(r)
}

var errPath = errors.New("not a path of one object")

// get answers a read of one object.
func (g gate) get(r *http.Request) (*http.Response, error) {
	key, ok := keyOfPath(r.URL.Path)
	if !ok {
		return nil, fmt.Errorf("%s: %w", r.URL.Path, errPath)
	}
	code, out := http.StatusOK, any(map[string]any{"kind": "Status", "code": 404, "reason": "NotFound", "message": "not found: " + r.URL.Path})
	if o := g.world.server.projection.Load().Snapshot().Get(key); o.Exists() {
		out = o.Value
	} else {
		code = http.StatusNotFound
	}
	data, err := json.Marshal(out)
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: code, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(data)), Request: r}, nil
}
