package resourceclaim_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/controllers/garbage"
	"github.com/reckon-project/reckon/controllers/resourceclaim"
	"github.com/reckon-project/reckon/projections"
)

func start(t *testing.T) *controllertest.World {
	w := controllertest.NewWorld(t)
	w.Run(resourceclaim.NewPods(), resourceclaim.NewClaims(), garbage.New())
	return w
}

func template(w *controllertest.World) {
	w.Create(controllers.ResourceClaimTemplate, &resourcev1.ResourceClaimTemplate{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "gpu"},
		Spec: resourcev1.ResourceClaimTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"team": "a"}},
			Spec:       resourcev1.ResourceClaimSpec{Devices: resourcev1.DeviceClaim{Requests: []resourcev1.DeviceRequest{{Name: "one"}}}},
		},
	})
}

func pod(w *controllertest.World, name string, claims ...corev1.PodResourceClaim) {
	w.Create(controllers.Pod, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}, Spec: corev1.PodSpec{ResourceClaims: claims}})
	w.Settle()
}

func p[T any](v T) *T { return &v }

// claims gives the claims of the namespace, one line each.
func claims(w *controllertest.World) string {
	var lines []string
	for c := range projections.List[*resourcev1.ResourceClaim](w.Snapshot(), "resource.k8s.io", "resourceclaims", "default") {
		line := strings.TrimRight(c.Name, "bcdfghjklmnpqrstvwxz2456789")
		if c.Status.Allocation != nil {
			line += " allocated"
		}
		for _, r := range c.Status.ReservedFor {
			line += " for " + r.Name
		}
		if len(c.Finalizers) > 0 {
			line += " held"
		}
		if c.DeletionTimestamp != nil {
			line += " deleting"
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func only(w *controllertest.World) *resourcev1.ResourceClaim {
	for c := range projections.List[*resourcev1.ResourceClaim](w.Snapshot(), "resource.k8s.io", "resourceclaims", "default") {
		return c
	}
	return nil
}

// allocate does what the scheduler does before it binds pods.
func allocate(w *controllertest.World, claim string, users ...string) {
	var refs []resourcev1.ResourceClaimConsumerReference
	for _, name := range users {
		refs = append(refs, resourcev1.ResourceClaimConsumerReference{Resource: "pods", Name: name, UID: controllertest.Get[*corev1.Pod](w, controllers.Pod.Key("default", name)).UID})
	}
	data, _ := json.Marshal(refs)
	key := controllers.ResourceClaim.Key("default", claim)
	w.Patch(key, `{"metadata":{"finalizers":[%q]}}`, resourcev1.Finalizer)
	w.PatchStatus(key, `{"status":{"allocation":{"devices":{}},"reservedFor":%s}}`, data)
	w.Settle()
}

func TestPodsOwnClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		defer w.Stop()
		script := controllertest.NewTranscript(w, "own")
		say := func(name string) {
			w.Settle()
			text := claims(w)
			for pod := range projections.List[*corev1.Pod](w.Snapshot(), "", "pods", "default") {
				for _, s := range pod.Status.ResourceClaimStatuses {
					text += fmt.Sprintf("\n%s has %s", pod.Name, s.Name)
				}
			}
			script.Say(name, text)
		}
		key := controllers.Pod.Key("default", "web")
		pod(w, "web", corev1.PodResourceClaim{Name: "dev", ResourceClaimTemplateName: p("gpu")})
		say("the template is missing")
		template(w)
		say("it is there")
		if c := only(w); c.Labels["team"] != "a" || c.Annotations[resourcev1.PodResourceClaimAnnotation] != "dev" || len(c.Spec.Devices.Requests) != 1 {
			t.Errorf("the claim is %+v", c)
		}
		w.Delete(controllers.ResourceClaim.Key("default", only(w).Name), "")
		say("somebody deletes the claim: another is made")
		allocate(w, only(w).Name, "web")
		w.Patch(key, `{"spec":{"nodeName":"n1"}}`)
		say("scheduled")
		w.PatchStatus(key, `{"status":{"phase":"Succeeded"}}`)
		say("done")
		script.Done()
	})
}

func TestSharedClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		defer w.Stop()
		script := controllertest.NewTranscript(w, "shared")
		say := func(name string) {
			w.Settle()
			script.Say(name, claims(w))
		}
		w.Create(controllers.ResourceClaim, &resourcev1.ResourceClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "fpga"}})
		use := corev1.PodResourceClaim{Name: "dev", ResourceClaimName: p("fpga")}
		pod(w, "a", use)
		pod(w, "b", use)
		allocate(w, "fpga", "a")
		say("allocated for one")
		w.Patch(controllers.Pod.Key("default", "b"), `{"spec":{"nodeName":"n1"}}`)
		say("another is bound by hand")
		w.Delete(controllers.Pod.Key("default", "a"), "")
		say("the first is deleted")
		w.PatchStatus(controllers.Pod.Key("default", "b"), `{"status":{"phase":"Failed"}}`)
		say("the second fails")
		pod(w, "c", use)
		allocate(w, "fpga", "c")
		w.Delete(controllers.ResourceClaim.Key("default", "fpga"), "")
		say("deleted while in use")
		w.Delete(controllers.Pod.Key("default", "c"), "")
		say("and not any more")
		script.Done()
	})
}

// TestLongNames: a claim's name tells both the pod and the entry.
func TestLongNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		defer w.Stop()
		template(w)
		pod(w, strings.Repeat("a", 60), corev1.PodResourceClaim{Name: strings.Repeat("e", 60), ResourceClaimTemplateName: p("gpu")})
		if name := only(w).Name; len(name) > 63 || !strings.Contains(name, "a-e") {
			t.Errorf("the claim's name is %s (%d)", name, len(name))
		}
	})
}

func TestMissingTemplateIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		defer w.Stop()
		pod(w, "web", corev1.PodResourceClaim{Name: "g", ResourceClaimTemplateName: p("gpu")})
		key := controllers.Pod.Key("default", "web")
		w.Patch(key, `{"metadata":{"labels":{"x":"y"}}}`)
		w.PatchStatus(key, `{"status":{"message":"waits"}}`)
		w.Settle()
		var told []string
		for e, err := range w.Bus.Log().Read(t.Context(), 1) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Key == key && e.Reason != "" {
				told = append(told, e.Reason+": "+e.Note)
			}
		}
		want := `FailedResourceClaimCreation: PodResourceClaim g: resource claim template "gpu": resourceclaimtemplate.resource.k8s.io "gpu" not found`
		if len(told) != 1 || told[0] != want {
			t.Errorf("told %q", told)
		}
		template(w)
		w.Settle()
		if got := claims(w); !strings.HasPrefix(got, "web-g-") {
			t.Errorf("claims: %s", got)
		}
	})
}
