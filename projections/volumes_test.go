package projections_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/memory"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// TestVolumesByClaimAndClass: volumes that come, are claimed, freed and go are found
// by what they are.
func TestVolumesByClaimAndClass(t *testing.T) {
	m := memory.New(time.Now)
	have := map[string]*corev1.PersistentVolume{}
	write := func(v *corev1.PersistentVolume, kind string) {
		data, err := events.EncodeObject(v)
		if err != nil {
			t.Fatal(err)
		}
		_, err = m.Log().Append(t.Context(), bus.Entry{Event: &events.Event{
			Prefix: events.PrefixDecision, Key: events.Key{Resource: "persistentvolumes", Name: v.Name}, ID: bus.NewID(), Source: "test",
			Type: kind, Time: time.Now(), ContentType: events.ContentObject, Data: data,
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 500 {
		name := fmt.Sprintf("v%d", random.IntN(20))
		v, kind := have[name], events.Updated
		if v == nil {
			v, kind = &corev1.PersistentVolume{
				TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "PersistentVolume"},
				ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(fmt.Sprint(name, i))},
			}, events.Created
		} else if random.IntN(5) == 0 {
			write(v, events.Deleted)
			delete(have, name)
			continue
		}
		v = v.DeepCopy()
		v.Spec.ClaimRef, v.Annotations, v.Spec.StorageClassName = nil, nil, fmt.Sprintf("c%d", random.IntN(3))
		if random.IntN(2) == 0 {
			v.Spec.ClaimRef = &corev1.ObjectReference{Namespace: "default", Name: fmt.Sprintf("p%d", random.IntN(3))}
		}
		if random.IntN(4) == 0 {
			v.Annotations = map[string]string{corev1.BetaStorageClassAnnotation: "c0"}
		}
		write(v, kind)
		have[name] = v
	}
	p := projections.New(m.Log())
	done := make(chan error, 1)
	go func() { done <- p.Run(t.Context()) }()
	t.Cleanup(func() { <-done })
	if err := p.WaitFor(t.Context(), 500); err != nil {
		t.Fatal(err)
	}
	s := p.Snapshot()
	check := func(what string, got func(func(*events.Object) bool), is func(*corev1.PersistentVolume) bool) {
		t.Helper()
		var names, want []string
		for o := range got {
			names = append(names, o.Key.Name)
		}
		for name, v := range have {
			if is(v) {
				want = append(want, name)
			}
		}
		if slices.Sort(want); !slices.Equal(names, want) {
			t.Errorf("%s: %v, want %v", what, names, want)
		}
	}
	for i := range 3 {
		claim, class := fmt.Sprintf("p%d", i), fmt.Sprintf("c%d", i)
		check(claim, s.VolumesOf("default", claim), func(v *corev1.PersistentVolume) bool { return v.Spec.ClaimRef != nil && v.Spec.ClaimRef.Name == claim })
		check(class, s.FreeVolumes(class), func(v *corev1.PersistentVolume) bool {
			have := v.Spec.StorageClassName
			if beta, ok := v.Annotations[corev1.BetaStorageClassAnnotation]; ok {
				have = beta
			}
			return v.Spec.ClaimRef == nil && have == class
		})
	}
}
