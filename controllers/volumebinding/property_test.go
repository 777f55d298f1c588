package volumebinding_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/memory"
	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/volumebinding"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// Whatever old state decisions are made on, and wherever their writes are cut
// off: no volume is ever given to two claims, and in the end every claim that
// says Bound has a volume that says so too.
func TestNeverTwoClaimsOnOneVolume(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		log := memory.New(time.Now)
		p := projections.New(log.Log())
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- p.Run(ctx) }()
		defer func() {
			stop()
			<-done
		}()
		m := machine{t, log.Log(), p, volumebinding.New().Reconciler()}
		var keys []events.Key
		for i := range rapid.IntRange(1, 3).Draw(t, "volumes") {
			v := volume(fmt.Sprintf("v%d", i), rapid.SampledFrom([]string{"1Gi", "2Gi", "3Gi"}).Draw(t, "size"), "")
			m.create(controllers.PersistentVolume, v)
			keys = append(keys, volumeKey(v.Name))
		}
		for i := range rapid.IntRange(1, 4).Draw(t, "claims") {
			c := claim(fmt.Sprintf("c%d", i), rapid.SampledFrom([]string{"1Gi", "2Gi"}).Draw(t, "wants"), text(""))
			if rapid.IntRange(0, 3).Draw(t, "names") == 0 {
				c.Spec.VolumeName = "v0"
			}
			m.create(controllers.PersistentVolumeClaim, c)
			keys = append(keys, claimKey(c.Name))
		}
		snapshots := []*projections.Snapshot{p.Snapshot()}
		for range rapid.IntRange(0, 30).Draw(t, "steps") {
			s := rapid.SampledFrom(snapshots).Draw(t, "seen")
			key := rapid.SampledFrom(keys).Draw(t, "key")
			if rapid.IntRange(0, 14).Draw(t, "deletes") == 0 && key.Resource == "persistentvolumeclaims" && p.Snapshot().Get(key).Exists() {
				m.append(&events.Event{Key: key, Type: events.Deleted}, p.Snapshot().Decision(key))
			} else {
				m.carryOut(m.decide(s, key))
			}
			m.check()
			snapshots = append(snapshots, p.Snapshot())
		}
		for quiet := false; !quiet; { // a new leader looks at everything until nothing is left to do
			quiet = true
			for _, key := range keys {
				if intents := m.decide(p.Snapshot(), key); len(intents) > 0 {
					quiet = false
					m.carryOut(intents)
					m.check()
				}
			}
		}
		m.checkEnd()
	})
}

type machine struct {
	t         *rapid.T
	log       bus.Log
	p         *projections.Projection
	reconcile controllers.Reconciler
}

func (m machine) create(kind controllers.Kind, obj runtime.Object) {
	type meta interface {
		GetName() string
		GetNamespace() string
		SetUID(types.UID)
	}
	o := obj.(meta)
	o.SetUID(types.UID("uid-" + o.GetName()))
	data, err := events.EncodeObject(obj)
	if err != nil {
		m.t.Fatal(err)
	}
	m.append(&events.Event{Key: kind.Key(o.GetNamespace(), o.GetName()), Type: events.Created, ContentType: events.ContentObject, Data: data}, 0)
}

func (m machine) append(e *events.Event, expect uint64) {
	e.Prefix, e.ID, e.Source, e.Time = events.PrefixDecision, bus.NewID(), "test", time.Now()
	seq, err := m.log.Append(context.Background(), bus.Entry{Event: e, Expect: bus.Expect(expect)})
	if errors.Is(err, events.ErrConflict) {
		return
	}
	if err != nil {
		m.t.Fatal(err)
	}
	if err := m.p.WaitFor(context.Background(), seq); err != nil {
		m.t.Fatal(err)
	}
}

func (m machine) decide(s *projections.Snapshot, key events.Key) []controllers.Intent {
	r, err := m.reconcile(controllers.WithCall(context.Background(), time.Unix(0, 0), nil), s, key)
	if err != nil {
		m.t.Fatal(err)
	}
	return r.Intents
}

func (m machine) carryOut(intents []controllers.Intent) {
	for _, i := range intents {
		if i.Verb != controllers.VerbAppend {
			m.t.Fatalf("%s %s goes through the API", i.Verb, i.Key)
		}
		m.append(&events.Event{Key: i.Key, Type: i.Type, IfVersion: i.IfVersion, ContentType: i.ContentType, Data: i.Data}, i.Expect)
	}
}

// check: a claim that has completed its binding has a volume that names it, and no two the same.
func (m machine) check() {
	s := m.p.Snapshot()
	owner := map[string]string{}
	for c := range projections.List[*corev1.PersistentVolumeClaim](s, "", "persistentvolumeclaims", "") {
		if c.Status.Phase != corev1.ClaimBound {
			continue
		}
		if other, taken := owner[c.Spec.VolumeName]; taken {
			m.t.Fatalf("volume %s is bound to %s and %s", c.Spec.VolumeName, other, c.Name)
		}
		owner[c.Spec.VolumeName] = c.Name
		v, ok := projections.Get[*corev1.PersistentVolume](s, volumeKey(c.Spec.VolumeName))
		if !ok || v.Spec.ClaimRef == nil || v.Spec.ClaimRef.UID != c.UID {
			m.t.Fatalf("claim %s is bound to %s, which doesn't name it", c.Name, c.Spec.VolumeName)
		}
	}
}

func (m machine) checkEnd() {
	s := m.p.Snapshot()
	for v := range projections.List[*corev1.PersistentVolume](s, "", "persistentvolumes", "") {
		if v.Status.Phase != corev1.VolumeBound {
			continue
		}
		c, ok := projections.Get[*corev1.PersistentVolumeClaim](s, claimKey(v.Spec.ClaimRef.Name))
		if !ok || c.Spec.VolumeName != v.Name || c.Status.Phase != corev1.ClaimBound {
			m.t.Fatalf("volume %s is Bound, its claim isn't to it", v.Name)
		}
	}
}
