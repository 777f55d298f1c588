package projections_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/memory"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// story appends a random history of real kinds to a log: objects created,
// updated, scheduled, reported on, deleting, deleted and created again,
// leaderships won and lost, and events that make no sense among them.
type story struct {
	t      testing.TB
	rand   *rand.Rand
	log    bus.Log
	now    time.Time
	live   *projections.Projection // what the writers know; they may not have caught up
	epochs []uint64
	n      int
}

var began = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func newStory(t testing.TB, seed uint64, log bus.Log, live *projections.Projection) *story {
	return &story{t: t, rand: rand.New(rand.NewPCG(seed, 1)), log: log, now: began, live: live}
}

func (s *story) append(e *events.Event) uint64 {
	s.n++
	s.now = s.now.Add(time.Duration(s.rand.IntN(1000)) * time.Millisecond)
	e.ID, e.Source, e.Time = fmt.Sprintf("e%d", s.n), "test", s.now
	if e.Prefix == "" {
		e.Prefix = events.PrefixDecision
	}
	seq, err := s.log.Append(s.t.Context(), bus.Entry{Event: e})
	if err != nil {
		s.t.Fatal(err)
	}
	return seq
}

func (s *story) pick(format string, n int) string { return fmt.Sprintf(format, s.rand.IntN(n)) }

func podKey(ns, name string) events.Key {
	return events.Key{Resource: "pods", Namespace: ns, Name: name}
}

func encodeObject(t testing.TB, o runtime.Object) []byte {
	data, err := events.EncodeObject(o)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func newPod(ns, name, uid, owner string) *corev1.Pod {
	p := &corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name, UID: types.UID(uid), CreationTimestamp: metav1.NewTime(began), Labels: map[string]string{"app": owner, "tier": "web"}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Name: "main", Image: "registry.example/app:1", Command: []string{"/app", "--listen=:8080"},
			Env:       []corev1.EnvVar{{Name: "A", Value: "1"}, {Name: "B", Value: "2"}},
			Ports:     []corev1.ContainerPort{{Name: "http", ContainerPort: 8080, Protocol: corev1.ProtocolTCP}},
			Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{"cpu": resource.MustParse("100m"), "memory": resource.MustParse("64Mi")}},
		}}, RestartPolicy: corev1.RestartPolicyAlways, DNSPolicy: corev1.DNSClusterFirst, SchedulerName: "default-scheduler"},
		Status: corev1.PodStatus{Phase: corev1.PodPending},
	}
	if owner != "" {
		p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: owner, UID: types.UID("uid-" + owner)}}
	}
	return p
}

// step appends one random event.
func (s *story) step() {
	key := podKey(s.pick("ns%d", 3), s.pick("pod-%d", 12))
	var pod *corev1.Pod
	var version, epoch uint64
	if s.live != nil {
		if o := s.live.Snapshot().Get(key); o != nil {
			pod, version = o.Value.(*corev1.Pod), o.Version
		}
	}
	if len(s.epochs) > 0 {
		epoch = s.epochs[s.rand.IntN(len(s.epochs))] // often a fenced one
	}
	uid := "none"
	if pod != nil {
		uid = string(pod.UID)
	}
	switch s.rand.IntN(16) {
	case 0, 1, 2:
		s.append(&events.Event{Key: key, Type: events.Created, ContentType: events.ContentObject,
			Data: encodeObject(s.t, newPod(key.Namespace, key.Name, fmt.Sprintf("uid-%d", s.rand.IntN(40)), s.pick("rs-%d", 3)))})
	case 3, 4:
		s.append(&events.Event{Key: key, Type: events.Scheduled, ContentType: events.ContentPatch, Epoch: epoch, Component: "scheduler",
			Data: fmt.Appendf(nil, `{"spec":{"nodeName":"n%d"},"status":{"conditions":[{"type":"PodScheduled","status":"True","lastTransitionTime":"2026-01-02T03:04:05Z"}]}}`, s.rand.IntN(3))})
	case 5, 6, 7, 8:
		reporter := s.pick("n%d", 3)
		if pod != nil && pod.Spec.NodeName != "" && s.rand.IntN(4) > 0 {
			reporter = pod.Spec.NodeName
		}
		s.append(&events.Event{Prefix: events.PrefixFact, Reporter: reporter, Key: key, Type: events.Reported, UID: uid,
			Counter: events.Counter{Incarnation: 1 + uint64(s.rand.IntN(2)), N: uint64(s.n) - uint64(s.rand.IntN(min(s.n, 20)+1))}, ContentType: events.ContentPatch,
			Data: fmt.Appendf(nil, `{"status":{"phase":%q,"podIP":"10.0.0.%d","conditions":[{"type":"Ready","status":"True"}]}}`, s.pick("Phase%d", 3), s.rand.IntN(250))})
	case 9:
		s.append(&events.Event{Key: key, Type: events.Updated, ContentType: events.ContentPatch, IfVersion: version,
			Data: fmt.Appendf(nil, `{"metadata":{"labels":{"app":null,"v":"%d"},"ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"rs","uid":"uid-rs-%d","controller":%t}]}}`, s.n, s.rand.IntN(3), s.n%2 == 0)})
	case 10:
		s.append(&events.Event{Key: key, Type: events.Deleting, ContentType: events.ContentPatch,
			Data: []byte(`{"metadata":{"deletionTimestamp":"2026-01-02T03:04:05Z","deletionGracePeriodSeconds":30}}`)})
	case 11:
		s.append(&events.Event{Key: key, Type: events.Deleted, IfVersion: version})
	case 12:
		component := s.pick("c%d", 2)
		if s.rand.IntN(2) == 0 {
			component = "scheduler"
		}
		e := bus.ElectedEvent(component, s.pick("holder-%d", 3), s.now)
		s.epochs = append(s.epochs, s.append(e))
	case 13:
		s.append(&events.Event{Key: key, Type: events.Updated, ContentType: events.ContentPatch, Data: []byte(`{"spec":`)}) // void
	case 14:
		k := events.Key{Group: "apps", Resource: "deployments", Namespace: key.Namespace, Name: s.pick("web-%d", 3)}
		replicas := int32(s.rand.IntN(9))
		d := &appsv1.Deployment{TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"}, ObjectMeta: metav1.ObjectMeta{Namespace: k.Namespace, Name: k.Name, UID: types.UID("d-" + k.Name)}, Spec: appsv1.DeploymentSpec{Replicas: &replicas}}
		if s.rand.IntN(2) == 0 {
			s.append(&events.Event{Key: k, Type: events.Created, ContentType: events.ContentObject, Data: encodeObject(s.t, d)})
		} else {
			s.append(&events.Event{Key: k, Type: events.Scaled, ContentType: events.ContentPatch, Data: fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas)})
		}
	case 15:
		k := events.Key{Group: "example.com", Resource: "widgets", Name: s.pick("w%d", 3)}
		data, _ := json.Marshal(map[string]any{"apiVersion": "example.com/v1", "kind": "Widget", "metadata": map[string]any{"name": k.Name, "uid": "w-" + k.Name}, "spec": map[string]any{"size": s.n, "ratio": 0.5, "list": []any{1, "two"}}})
		typ := events.Created
		if s.rand.IntN(3) == 0 {
			typ = events.Deleted
		}
		s.append(&events.Event{Key: k, Type: typ, ContentType: events.ContentObject, Data: data})
	}
}

func encoded(t testing.TB, s *projections.Snapshot) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := s.Encode(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// run folds in the background until the test, or the returned function, ends it.
func run(t testing.TB, p *projections.Projection) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run ended with %v", err)
		}
	}
	t.Cleanup(stop)
	return stop
}

func newLog() *memory.Bus { return memory.New(func() time.Time { return began }) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Folding live, from zero and from each checkpoint gives the same bytes at
// every position where they are compared; without the checkpoints too.
func TestTheFoldIsTheSameHoweverItBegan(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			b := newLog()
			ctx := t.Context()
			live := projections.New(b.Log(), projections.Buffer(64))
			stop := run(t, live)
			s := newStory(t, seed, b.Log(), live)
			sums := map[uint64][32]byte{}
			var made []uint64
			for i := range 1500 {
				s.step()
				if i%3 == 0 {
					must(t, live.WaitFor(ctx, uint64(s.n)))
				}
				if i%250 == 249 {
					must(t, live.WaitFor(ctx, uint64(s.n)))
					snapshot := live.Snapshot()
					sums[snapshot.Position()] = sha256.Sum256(encoded(t, snapshot))
					must(t, projections.WriteCheckpoint(ctx, snapshot, b.Blobs()))
					made = append(made, snapshot.Position())
				}
			}
			must(t, live.WaitFor(ctx, uint64(s.n)))
			want := encoded(t, live.Snapshot())
			if live.Snapshot().Voids() == 0 || live.Snapshot().Len("", "pods") == 0 {
				t.Fatal("the story is too simple")
			}
			stop()

			// From zero, in one go, with the state at each checkpoint on the way.
			zero := projections.New(b.Log())
			run(t, zero)
			must(t, zero.WaitFor(ctx, uint64(s.n)))
			if !bytes.Equal(encoded(t, zero.Snapshot()), want) {
				t.Error("folding from zero differs from live")
			}
			for _, position := range made {
				past, err := zero.At(ctx, position)
				must(t, err)
				if sha256.Sum256(encoded(t, past)) != sums[position] {
					t.Errorf("the state at %d, folded from zero, differs", position)
				}
			}
			// From each checkpoint: the newest goes, and the next is tried. The
			// last round is without any.
			for len(made) > 0 {
				p := projections.New(b.Log())
				must(t, p.Restore(ctx, b.Blobs()))
				if got := p.Snapshot().Position(); got != made[len(made)-1] {
					t.Fatalf("restored at %d, the newest checkpoint is at %d", got, made[len(made)-1])
				}
				stop := run(t, p)
				must(t, p.WaitFor(ctx, uint64(s.n)))
				if !bytes.Equal(encoded(t, p.Snapshot()), want) {
					t.Errorf("folding from the checkpoint at %d differs", made[len(made)-1])
				}
				stop()
				names, err := b.Blobs().List(ctx, "")
				must(t, err)
				must(t, b.Blobs().Delete(ctx, names[len(names)-1]))
				made = made[:len(made)-1]
			}
			p := projections.New(b.Log())
			must(t, p.Restore(ctx, b.Blobs()))
			run(t, p)
			must(t, p.WaitFor(ctx, uint64(s.n)))
			if !bytes.Equal(encoded(t, p.Snapshot()), want) {
				t.Error("folding without checkpoints differs")
			}
		})
	}
}
