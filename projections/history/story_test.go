package history_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/memory"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
	"github.com/reckon-project/reckon/projections/history"
)

var update = flag.Bool("update", false, "write the golden files")

// story is a log that is written event by event, as the components would.
type story struct {
	t     *testing.T
	now   time.Time
	bus   *memory.Bus
	fold  *projections.Projection
	trace string
	n     int
	out   bytes.Buffer
}

func newStory(t *testing.T) *story {
	s := &story{t: t, now: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)}
	s.bus = memory.New(func() time.Time { return s.now })
	s.fold = projections.New(s.bus.Log(), projections.WithCheckpoints(projections.Checkpoints{Blobs: s.bus.Blobs(), Every: 1 << 40}))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.fold.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	return s
}

func (s *story) reader() *history.Reader {
	return &history.Reader{Log: s.bus.Log(), Projection: s.fold}
}

// pass lets time go by.
func (s *story) pass(d time.Duration) { s.now = s.now.Add(d) }

// say is who writes an event, and why.
type say struct {
	actor, source, typ, reason, note, why string
	cause                                 []uint64
	epoch                                 uint64
	component                             string
	ifVersion                             uint64
}

func user(name string) say { return say{actor: name, source: "gateway"} }

// controller is a built-in controller that acts because of some events.
func controller(name string, cause ...uint64) say {
	return say{actor: "system:serviceaccount:kube-system:" + name + "-controller", source: "gateway", cause: cause}
}

func scheduler(cause uint64) say {
	return say{actor: "system:kube-scheduler", source: "scheduler", typ: events.Scheduled, reason: "Scheduled", cause: []uint64{cause}}
}

func (w say) tells(reason, note string) say { w.reason, w.note = reason, note; return w }
func (w say) as(typ string) say             { w.typ = typ; return w }

func (s *story) append(e *events.Event) uint64 {
	s.t.Helper()
	s.n++
	s.pass(5 * time.Millisecond)
	e.ID, e.Time = fmt.Sprint("e", s.n), s.now
	if e.Traceparent == "" {
		e.Traceparent = s.trace
	}
	seq, err := s.bus.Log().Append(s.t.Context(), bus.Entry{Event: e})
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.fold.WaitFor(s.t.Context(), seq); err != nil {
		s.t.Fatal(err)
	}
	return seq
}

func (s *story) decision(k events.Key, w say) *events.Event {
	return &events.Event{
		Prefix: events.PrefixDecision, Key: k, Actor: w.actor, Source: w.source, Type: w.typ, Reason: w.reason, Note: w.note, Why: w.why,
		Cause: w.cause, Epoch: w.epoch, Component: w.component, IfVersion: w.ifVersion,
	}
}

func keyOf(o runtime.Object) events.Key {
	m := o.(metav1.Object)
	k := events.Key{Namespace: m.GetNamespace(), Name: m.GetName()}
	switch o.(type) {
	case *corev1.Pod:
		k.Resource = "pods"
	case *corev1.Node:
		k.Resource = "nodes"
	case *corev1.Secret:
		k.Resource = "secrets"
	case *corev1.ConfigMap:
		k.Resource = "configmaps"
	case *appsv1.Deployment:
		k.Group, k.Resource = "apps", "deployments"
	case *appsv1.ReplicaSet:
		k.Group, k.Resource = "apps", "replicasets"
	}
	return k
}

// create appends the creation of an object, which gets a uid by its name.
func (s *story) create(w say, o runtime.Object) uint64 {
	s.t.Helper()
	m := o.(metav1.Object)
	if m.GetUID() == "" {
		m.SetUID(types.UID(m.GetName() + "-uid"))
	}
	typ, reason, note := events.Classify(nil, o, "create", "")
	e := s.decision(keyOf(o), w)
	e.Type, e.Verb = typ, "create"
	if e.Reason == "" {
		e.Reason, e.Note = reason, note
	}
	data, err := events.EncodeObject(o)
	if err != nil {
		s.t.Fatal(err)
	}
	e.ContentType, e.Data = events.ContentObject, data
	return s.append(e)
}

// change appends a change of an object; nil deletes it.
func (s *story) change(w say, k events.Key, f func(runtime.Object)) uint64 {
	s.t.Helper()
	old := s.fold.Snapshot().Get(k)
	if old == nil {
		s.t.Fatalf("there is no %s", k)
	}
	e := s.decision(k, w)
	if f == nil {
		e.Type, e.Verb = events.Deleted, "delete"
		if e.Reason == "" {
			e.Reason = "Deleted"
		}
		return s.append(e)
	}
	value := old.Value.DeepCopyObject()
	f(value)
	if e.Source == "gateway" {
		e.Verb = "patch"
		typ, reason, note := events.Classify(old.Value, value, "patch", "")
		if e.Type == "" {
			e.Type = typ
		}
		if e.Reason == "" {
			e.Reason, e.Note = reason, note
		}
	}
	e.ContentType, e.Data = s.patch(old.Value, value)
	return s.append(e)
}

func (s *story) patch(old, new runtime.Object) (contentType string, data []byte) {
	s.t.Helper()
	data, contentType, err := events.Diff(old, new)
	if err != nil {
		s.t.Fatal(err)
	}
	return contentType, data
}

// report appends a fact that a node reports about an object.
func (s *story) report(node string, k events.Key, cause uint64, reason, note string, f func(runtime.Object)) uint64 {
	s.t.Helper()
	old := s.fold.Snapshot().Get(k)
	if old == nil {
		s.t.Fatalf("there is no %s", k)
	}
	value := old.Value.DeepCopyObject()
	f(value)
	e := &events.Event{
		Prefix: events.PrefixFact, Reporter: node, Key: k, Source: "agent/" + node, Actor: "system:node:" + node, Type: events.Reported,
		Reason: reason, Note: note, UID: string(old.Meta().GetUID()), Counter: events.Counter{Incarnation: 1, N: uint64(s.n + 1)},
	}
	if cause != 0 {
		e.Cause = []uint64{cause}
	}
	e.ContentType, e.Data = s.patch(old.Value, value)
	return s.append(e)
}

func (s *story) elect(component string) uint64 {
	s.t.Helper()
	return s.append(bus.ElectedEvent(component, "server-1", s.now))
}

var plain = history.Style{Location: time.UTC}

// history, why and diff write what the commands of that name would.
func (s *story) history(k events.Key, style history.Style) {
	s.t.Helper()
	life, err := s.reader().Object(s.t.Context(), k)
	s.print("history "+k.String(), err, func() error { return life.Write(&s.out, style) })
}

func (s *story) why(k events.Key, field string) {
	s.t.Helper()
	ask, title := s.reader().Why, "why "+k.String()
	if field != "" {
		title += "." + field
		ask = func(ctx context.Context, k events.Key, may func(events.Key) bool) (*history.Answer, error) {
			return s.reader().WhyField(ctx, k, field, may)
		}
	}
	a, err := ask(s.t.Context(), k, nil)
	s.print(title, err, func() error { return a.Write(&s.out, plain) })
}

func (s *story) diff(from, to uint64, style history.Style) {
	s.t.Helper()
	d, err := s.reader().Between(s.t.Context(), from, to, "")
	s.print(fmt.Sprintf("diff --from %d --to %d", from, to), err, func() error { return d.Write(&s.out, style) })
}

func (s *story) undo(k events.Key, to uint64) {
	s.t.Helper()
	life, err := s.reader().Object(s.t.Context(), k)
	if err != nil {
		s.t.Fatal(err)
	}
	u, err := life.PlanUndo(to)
	s.print("undo "+k.String(), err, func() error { return u.Write(&s.out, plain) })
}

func (s *story) print(title string, err error, write func() error) {
	s.t.Helper()
	fmt.Fprintf(&s.out, "$ reckon %s\n", title)
	if err != nil {
		fmt.Fprintf(&s.out, "error: %v\n\n", err)
		return
	}
	if err := write(); err != nil {
		s.t.Fatal(err)
	}
	s.out.WriteByte('\n')
}

// sameAsFold: what the readers of single objects see is what the fold of the
// whole log sees: the same events, voids and versions.
func (s *story) sameAsFold() {
	s.t.Helper()
	ctx := s.t.Context()
	first, last, err := s.bus.Log().Range(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	whole := map[events.Key][]projections.Change{}
	for changes, err := range s.fold.History(ctx, first-1, last) {
		if err != nil {
			s.t.Fatal(err)
		}
		for _, c := range changes {
			if c.Event.Type != events.Elected && c.Event.Type != events.Trimmed {
				whole[c.Event.Key] = append(whole[c.Event.Key], c)
			}
		}
	}
	for k, want := range whole {
		life, err := s.reader().Object(ctx, k)
		if err == nil && life.Steps[0].Type == history.Known {
			life.Steps = life.Steps[1:]
		}
		if err != nil || len(life.Steps) != len(want) {
			s.t.Fatalf("%s: %d steps, %v, want %d", k, len(life.Steps), err, len(want))
		}
		for i, c := range want {
			step := &life.Steps[i]
			if step.Sequence != c.Event.Sequence || (step.Void != "") != (c.Void != nil) || !same(step.After(), c.New) {
				s.t.Errorf("%s: the step %+v, the fold has %+v", k, step, c)
			}
		}
	}
}

func same(a, b *events.Object) bool {
	if !a.Exists() || !b.Exists() {
		return a.Exists() == b.Exists()
	}
	x, err1 := events.EncodeObject(a.Value)
	y, err2 := events.EncodeObject(b.Value)
	return err1 == nil && err2 == nil && bytes.Equal(x, y) && a.Version == b.Version
}

// checkpoint writes a checkpoint of now.
func (s *story) checkpoint() {
	s.t.Helper()
	if err := projections.WriteCheckpoint(s.t.Context(), s.fold.Snapshot(), s.bus.Blobs()); err != nil {
		s.t.Fatal(err)
	}
}

// golden compares all that was written with the file of the test.
func (s *story) golden() {
	s.t.Helper()
	s.sameAsFold()
	file := filepath.Join("testdata", s.t.Name()+".txt")
	if *update {
		if err := os.WriteFile(file, s.out.Bytes(), 0o644); err != nil {
			s.t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		s.t.Fatal(err)
	}
	if !bytes.Equal(want, s.out.Bytes()) {
		s.t.Errorf("%s differs (run with -update and look at the difference):\n%s", file, s.out.String())
	}
}
