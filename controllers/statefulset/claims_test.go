package statefulset_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// claims gives the claims with the kinds of their owners.
func claims(w *controllertest.World) string {
	var out []string
	for c := range projections.List[*corev1.PersistentVolumeClaim](w.Snapshot(), "", "persistentvolumeclaims", "default") {
		s := c.Name
		for _, r := range c.OwnerReferences {
			s += "<" + r.Kind
		}
		out = append(out, s)
	}
	return strings.Join(out, " ")
}

func TestClaimRetention(t *testing.T) {
	for _, test := range []struct {
		deleted, scaled                   appsv1.PersistentVolumeClaimRetentionPolicyType
		running, afterScale, afterDeleted string
	}{
		{retain, retain, "data-web-0 data-web-1", "data-web-0 data-web-1", "data-web-0 data-web-1"},
		{remove, retain, "data-web-0<StatefulSet data-web-1<StatefulSet", "data-web-0<StatefulSet data-web-1<StatefulSet", ""},
		{retain, remove, "data-web-0 data-web-1", "data-web-0", "data-web-0"},
		{remove, remove, "data-web-0<StatefulSet data-web-1<StatefulSet", "data-web-0<StatefulSet", ""},
	} {
		t.Run(fmt.Sprintf("%s when deleted, %s when scaled", test.deleted, test.scaled), func(t *testing.T) {
			run(t, func(t *testing.T, w *controllertest.World) {
				want := func(what, want string) {
					t.Helper()
					w.Advance(time.Minute)
					if got := claims(w); got != want {
						t.Errorf("%s: claims are %q, want %q", what, got, want)
					}
				}
				w.Create(controllers.StatefulSet, newSet(2, withClaims(test.deleted, test.scaled)))
				want("running", test.running)
				w.Patch(web, `{"spec":{"replicas":1}}`)
				want("scaled down", test.afterScale)
				w.Patch(web, `{"spec":{"replicas":2}}`)
				want("scaled up again", test.running)
				wantPods(t, w, "web-0=web:1 web-1=web:1")
				w.Patch(web, `{"spec":{"replicas":1}}`)
				want("scaled down again", test.afterScale)
				w.Delete(web, "")
				want("deleted", test.afterDeleted)
			})
		})
	}
}

func TestRetentionChanged(t *testing.T) {
	run(t, func(t *testing.T, w *controllertest.World) {
		w.Create(controllers.StatefulSet, newSet(2, withClaims(retain, retain)))
		w.Advance(time.Minute)
		w.Patch(web, `{"spec":{"persistentVolumeClaimRetentionPolicy":{"whenDeleted":"Delete"}}}`)
		w.Advance(time.Minute)
		if got := claims(w); got != "data-web-0<StatefulSet data-web-1<StatefulSet" {
			t.Errorf("claims are %q", got)
		}
		w.Patch(web, `{"spec":{"persistentVolumeClaimRetentionPolicy":{"whenDeleted":"Retain"}}}`)
		w.Advance(time.Minute)
		if got := claims(w); got != "data-web-0 data-web-1" {
			t.Errorf("claims are %q", got)
		}
	})
}

// A claim that somebody else controls is not taken over, and one that is being
// deleted is waited for.
func TestForeignClaims(t *testing.T) {
	run(t, func(t *testing.T, w *controllertest.World) {
		yes := true
		w.Create(controllers.ConfigMap, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "owner"}})
		owner := w.Snapshot().Get(controllers.ConfigMap.Key("default", "owner")).Meta().GetUID()
		w.Create(controllers.PersistentVolumeClaim, &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{
			Namespace: "default", Name: "data-web-0", OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "owner", UID: owner, Controller: &yes}},
		}})
		w.Create(controllers.PersistentVolumeClaim, &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{
			Namespace: "default", Name: "data-web-1", Finalizers: []string{"example.com/slow"},
		}})
		going := controllers.PersistentVolumeClaim.Key("default", "data-web-1")
		w.Delete(going, "")
		w.Create(controllers.StatefulSet, newSet(2, withClaims(remove, remove)))
		w.Advance(time.Minute)
		wantPods(t, w, "web-0=web:1")
		want := []string{
			"ConflictingController: PersistentVolumeClaim data-web-0 has a conflicting OwnerReference that acts as a manging controller, the retention policy is ignored for this claim",
			"FailedCreate: Create Pod web-1 in StatefulSet web failed error: pvc data-web-1 is being deleted",
		}
		if got := told(t, w, web); !slices.Equal(got, want) {
			t.Errorf("told of the set: %q", got)
		}
		w.Patch(going, `{"metadata":{"finalizers":null}}`)
		w.Advance(time.Minute)
		wantPods(t, w, "web-0=web:1 web-1=web:1")
		if got := claims(w); got != "data-web-0<ConfigMap data-web-1<StatefulSet" {
			t.Errorf("claims are %q", got)
		}
	})
}

// told is all that events about an object say.
func told(t *testing.T, w *controllertest.World, key events.Key) (all []string) {
	t.Helper()
	for e, err := range w.Bus.Log().Read(t.Context(), 1) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Key != key || e.Reason == "" {
			continue
		}
		for _, step := range e.Steps() {
			all = append(all, step.Reason+": "+step.Note)
		}
	}
	return all
}

func TestRefused(t *testing.T) {
	for _, resource := range []string{"pods", "persistentvolumeclaims"} {
		t.Run(resource, func(t *testing.T) {
			run(t, func(t *testing.T, w *controllertest.World) {
				var refused, room atomic.Int64
				w.API.Refuse = func(method string, k events.Key) error {
					if method != "POST" || k.Resource != resource || room.Load() > 0 {
						return nil
					}
					refused.Add(1)
					return apierrors.NewForbidden(schema.GroupResource{Resource: resource}, "x", errors.New("exceeded quota"))
				}
				w.Create(controllers.StatefulSet, newSet(100, parallel, withClaims(retain, retain)))
				w.Advance(time.Minute)
				wantPods(t, w, "")
				what := map[string]string{"pods": "Pod web-0", "persistentvolumeclaims": "Claim data-web-0 for Pod web-0"}[resource]
				want := []string{"FailedCreate: Create " + what + " in StatefulSet web failed error: " + resource + ` "x" is forbidden: exceeded quota`}
				if got := told(t, w, web); !slices.Equal(got, want) {
					t.Errorf("told of the set: %q, want %q", got, want)
				}
				if n := refused.Load(); n > 400 {
					t.Errorf("tried %d times in a minute", n)
				}
				room.Store(1)
				w.Advance(2 * time.Minute)
				wantStatus(t, w, "100 replicas, 100 ready, 100 available, 100 current, 100 updated")
				if left := controllertest.Get[*appsv1.StatefulSet](w, web).Annotations; len(left) > 0 || len(told(t, w, web)) > 1 {
					t.Errorf("annotations %v are left, told of the set: %q", left, told(t, w, web))
				}
			})
		})
	}
}
