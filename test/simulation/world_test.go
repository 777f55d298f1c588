package simulation

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/events"
)

const (
	nodeCount  = 4
	nodeGrace  = 20 * time.Second
	mostCalm   = 20 * time.Minute // by when everything must have converged
	steady     = time.Minute      // how long it must stay so
	startLeast = 100 * time.Millisecond
	startMost  = 3 * time.Second
)

// world is a whole cluster.
type world struct {
	*network
	logger    *slog.Logger
	api       *controllertest.API
	server    *replica // the gateway
	replicas  []*replica
	nodes     []*node
	processes []*process
	users     []*user
	checker   *checker
	chaos     time.Duration // how long there are faults
	failure   error
	said      []string // by the components, in no certain order
}

func newWorld(seed uint64, chaos time.Duration) *world {
	w := &world{chaos: chaos}
	w.logger = slog.New(slog.NewTextHandler(journalWriter{w}, &slog.HandlerOptions{Level: slog.LevelWarn, ReplaceAttr: withoutTime}))
	w.network = newNetwork(seed, w.logger)
	w.checker = newChecker(w)
	w.after = func() {
		w.listen()
		w.checker.look()
	}
	w.server = w.gateway()
	for _, name := range []string{"a", "b"} {
		w.replicas = append(w.replicas, w.replica(name))
	}
	for i := range nodeCount {
		w.nodes = append(w.nodes, w.node(i))
	}
	for _, name := range []string{"alice", "bob", "carol"} {
		w.users = append(w.users, w.user(name))
	}
	return w
}

// process registers and starts a process.
func (w *world) process(name string, start func(context.Context, *process)) *process {
	p := &process{net: w.network, name: name, start: start, fails: w.fail}
	w.processes = append(w.processes, p)
	p.run()
	return p
}

func (w *world) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failure == nil {
		w.failure = err
	}
}

func (w *world) failed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failure != nil
}

// pass lets time pass.
func (w *world) pass(d time.Duration) { w.run(time.Now().Add(d), w.failed) }

// live runs the cluster through its faults, queued already, until it has converged.
func (w *world) live() {
	w.pass(w.chaos)
	w.mu.Lock()
	w.calm = true
	w.mu.Unlock()
	w.say("       no more faults")
	var since time.Time
	var why string
	for limit := time.Now().Add(mostCalm); time.Now().Before(limit) && !w.failed(); {
		w.pass(time.Second)
		if why = w.unsettled(); why != "" {
			since = time.Time{}
		} else if since.IsZero() {
			since = time.Now()
		} else if time.Since(since) > steady {
			break
		}
	}
	if why != "" {
		w.fail(fmt.Errorf("not converged %s after the last fault: %s", mostCalm, why))
	}
	if !w.failed() {
		w.checker.final()
	}
}

// stop ends everything.
func (w *world) stop() {
	for _, u := range w.users {
		u.stop()
	}
	for _, p := range w.processes {
		if !p.down {
			p.kill(true)
		}
	}
	for _, p := range w.processes {
		<-p.ended
	}
	w.checker.stop()
}

// transcript is the log, whole.
func (w *world) transcript() []string {
	var out []string
	for e, err := range w.memory.Log().Read(background, 1) {
		if err != nil {
			w.fail(err)
			break
		}
		out = append(out, string(encode(e)))
	}
	return out
}

// tail is the end of what happened, for people.
func (w *world) tail(lines int) string {
	return strings.Join(w.journal[max(0, len(w.journal)-lines):], "\n")
}

// journalWriter puts what components log among what happened.
type journalWriter struct{ w *world }

func (j journalWriter) Write(p []byte) (int, error) {
	j.w.mu.Lock()
	defer j.w.mu.Unlock()
	j.w.said = append(j.w.said, strings.TrimSpace(string(p)))
	return len(p), nil
}

// listen takes what components logged in this instant into the journal.
func (w *world) listen() {
	w.mu.Lock()
	said := w.said
	w.said = nil
	w.mu.Unlock()
	slices.Sort(said)
	for _, line := range said {
		w.say("         %s", line)
	}
}

func withoutTime(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

// keyOfPath is the object that an API path names.
func keyOfPath(path string) (events.Key, bool) {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	var k events.Key
	switch {
	case len(parts) > 3 && parts[0] == "apis":
		k.Group, parts = parts[1], parts[3:]
	case len(parts) > 2 && parts[0] == "api":
		parts = parts[2:]
	default:
		return k, false
	}
	if parts[0] == "namespaces" && len(parts) > 2 {
		k.Namespace, parts = parts[1], parts[2:]
	}
	if len(parts) != 2 {
		return k, false
	}
	k.Resource, k.Name = parts[0], parts[1]
	return k, true
}
