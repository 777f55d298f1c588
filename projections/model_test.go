package projections_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"
)

// model is the dumb twin of a projection: maps, and the indexes by looking at
// everything.
type model struct {
	objects map[events.Key]*events.Object
	epochs  map[string]uint64
	voids   uint64
}

func (m *model) apply(e *events.Event) (void bool) {
	old := m.objects[e.Key]
	if e.Type == events.Elected {
		m.epochs[e.Component] = e.Sequence
		m.objects[e.Key] = events.Skip(old, e)
		return false
	}
	if e.Epoch != 0 && e.Epoch < m.epochs[e.Component] {
		m.voids++
		m.objects[e.Key] = events.Skip(old, e)
		return true
	}
	next, err := events.Fold(old, e)
	m.objects[e.Key] = next
	if err != nil {
		m.voids++
	}
	return err != nil
}

// sortedWhere gives the existing objects of a resource that match, as lists are ordered.
func (m *model) sortedWhere(res string, match func(metav1.Object, *events.Object) bool) []string {
	var out []string
	for k, o := range m.objects {
		if k.Resource == res && o.Exists() && match(o.Meta(), o) {
			out = append(out, k.Namespace+"/"+k.Name)
		}
	}
	slices.Sort(out)
	return out
}

func keysOf(seq func(func(*events.Object) bool)) []string {
	var out []string
	for o := range seq {
		out = append(out, o.Key.Namespace+"/"+o.Key.Name)
	}
	return out
}

func (m *model) check(t testing.TB, s *projections.Snapshot) {
	t.Helper()
	if s.Voids() != m.voids {
		t.Fatalf("at %d: %d voids, the model has %d", s.Position(), s.Voids(), m.voids)
	}
	for c, want := range m.epochs {
		if got := s.Epoch(c); got != want {
			t.Fatalf("epoch of %s is %d, want %d", c, got, want)
		}
	}
	uids := map[string]bool{}
	for k, want := range m.objects {
		if got := s.Decision(k); got != want.Decision {
			t.Fatalf("at %d: decision of %s is %d, want %d", s.Position(), k, got, want.Decision)
		}
		got := s.Get(k)
		if got.Exists() != want.Exists() {
			t.Fatalf("at %d: %s exists: %v, want %v", s.Position(), k, got.Exists(), want.Exists())
		}
		if !want.Exists() {
			continue
		}
		uids[string(want.Meta().GetUID())] = true
		if got.Version != want.Version || !slices.Equal(got.Counters, want.Counters) {
			t.Fatalf("at %d: %s is at %d, want %d", s.Position(), k, got.Version, want.Version)
		}
	}
	for i := range 40 {
		uid := fmt.Sprintf("uid-%d", i)
		o := s.ByUID(uid)
		if (o != nil) != uids[uid] || (o != nil && string(o.Meta().GetUID()) != uid) {
			t.Fatalf("at %d: by uid %s: %v, want one: %v", s.Position(), uid, o, uids[uid])
		}
	}
	equal := func(what string, got, want []string) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Fatalf("at %d: %s: %v, want %v", s.Position(), what, got, want)
		}
	}
	all := m.sortedWhere("pods", func(metav1.Object, *events.Object) bool { return true })
	equal("pods", keysOf(s.List("", "pods", "")), all)
	if s.Len("", "pods") != len(all) {
		t.Fatalf("Len is %d, want %d", s.Len("", "pods"), len(all))
	}
	for i := range 3 {
		node, owner, ns := fmt.Sprintf("n%d", i), fmt.Sprintf("uid-rs-%d", i), fmt.Sprintf("ns%d", i)
		equal("pods on "+node, keysOf(s.PodsOn(node)), m.sortedWhere("pods", func(_ metav1.Object, o *events.Object) bool {
			return o.Value.(*corev1.Pod).Spec.NodeName == node
		}))
		equal("pods of "+owner, keysOf(s.OwnedBy("", "pods", owner)), m.sortedWhere("pods", func(m metav1.Object, _ *events.Object) bool {
			return slices.ContainsFunc(m.GetOwnerReferences(), func(r metav1.OwnerReference) bool { return string(r.UID) == owner })
		}))
		equal("pods without a controller in "+ns, keysOf(s.Orphans("", "pods", ns)), m.sortedWhere("pods", func(m metav1.Object, _ *events.Object) bool {
			return m.GetNamespace() == ns && metav1.GetControllerOf(m) == nil
		}))
		equal("deployments without a controller in "+ns, keysOf(s.Orphans("apps", "deployments", ns)), keysOf(s.List("apps", "deployments", ns)))
		in := m.sortedWhere("pods", func(m metav1.Object, _ *events.Object) bool { return m.GetNamespace() == ns })
		equal("pods in "+ns, keysOf(s.List("", "pods", ns)), in)
		if len(in) > 1 {
			equal("pods from the second of "+ns, keysOf(s.ListFrom("", "pods", ns, in[1])), in[1:])
		}
	}
}

// Every snapshot is what plain maps say, and stays that while the fold goes on.
func TestTablesAndIndexesAreWhatPlainMapsSay(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := newLog()
		live := projections.New(b.Log(), projections.Buffer(16))
		stop := run(t, live)
		defer stop()
		s := newStory(t, rapid.Uint64().Draw(rt, "seed"), b.Log(), live)
		m := &model{objects: map[events.Key]*events.Object{}, epochs: map[string]uint64{}}
		var kept *projections.Snapshot
		var keptBytes []byte
		next := uint64(1)
		for range rapid.IntRange(1, 12).Draw(rt, "rounds") {
			for range rapid.IntRange(1, 30).Draw(rt, "steps") {
				s.step()
				must(t, live.WaitFor(t.Context(), uint64(s.n)))
			}
			for e, err := range b.Log().Read(t.Context(), next) {
				must(t, err)
				m.apply(e)
				next = e.Sequence + 1
			}
			m.check(t, live.Snapshot())
			if kept == nil {
				kept, keptBytes = live.Snapshot(), encoded(t, live.Snapshot())
			}
		}
		if string(encoded(t, kept)) != string(keptBytes) {
			rt.Fatal("a snapshot changed while the fold went on")
		}
	})
}

// What a fact or a stray event claims must not reach other objects or fence anybody.
func TestAnEventThatMakesNoSenseIsVoid(t *testing.T) {
	b := newLog()
	p := projections.New(b.Log())
	run(t, p)
	s := newStory(t, 1, b.Log(), p)
	s.append(&events.Event{Key: podKey("a", "b"), Type: events.Created, ContentType: events.ContentObject, Data: encodeObject(t, newPod("a", "b", "u", ""))})
	leader := events.Key{Group: "reckon.dev", Resource: "leaders", Name: "scheduler"}
	strays := []*events.Event{
		{Prefix: events.PrefixFact, Reporter: "x", Key: leader, Type: events.Elected, Component: "scheduler"},
		{Key: podKey("a", "b"), Type: events.Elected, Component: "scheduler"},
		{Key: podKey("a/b", "c"), Type: events.Created, ContentType: events.ContentObject, Data: encodeObject(t, newPod("a/b", "c", "u2", ""))},
		{Key: podKey("a", "b"), Type: events.Trimmed, Data: []byte(`{"before":1}`)},
		{Key: projections.LogKey, Type: events.Trimmed, Data: []byte(`{"before":1000}`)},
		{Prefix: events.PrefixFact, Reporter: "x", Key: podKey("a", "none"), Type: events.Reported, UID: "u", Counter: events.Counter{N: 1}, ContentType: events.ContentPatch, Data: []byte(`{"status":{}}`)},
	}
	for _, e := range strays {
		s.append(e)
	}
	must(t, p.WaitFor(t.Context(), uint64(s.n)))
	snapshot := p.Snapshot()
	if snapshot.Voids() != uint64(len(strays)) || snapshot.Epoch("scheduler") != 0 || snapshot.First() != 0 || snapshot.Len("", "pods") != 1 {
		t.Errorf("%d voids of %d, epoch %d, first %d, %d pods", snapshot.Voids(), len(strays), snapshot.Epoch("scheduler"), snapshot.First(), snapshot.Len("", "pods"))
	}
	for changes, err := range p.Changes(t.Context(), 1) {
		must(t, err)
		for _, c := range changes {
			if !errors.Is(c.Void, events.ErrVoid) || c.Old != c.New {
				t.Errorf("%s on %s: void %v", c.Event.Type, c.Event.Key, c.Void)
			}
		}
		break
	}
	if strings.Contains(string(encoded(t, snapshot)), "none") {
		t.Error("a fact about nothing left a trace")
	}
}
