package volumeprotection_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/controllers/volumeprotection"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// story writes down the events and what is left of claims and volumes.
type story struct {
	*controllertest.World
	script *controllertest.Transcript
}

func tell(t *testing.T, name string, play func(s story)) {
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		w.InFlight = 1
		w.Run(volumeprotection.NewClaims(), volumeprotection.NewVolumes(), volumeprotection.NewAttributesClasses())
		s := story{w, controllertest.NewTranscript(w, name)}
		play(s)
		s.script.Done()
	})
}

func (s story) step(format string, args ...any) {
	s.Advance(time.Second) // a namespace is left alone for a moment after it was looked through
	s.script.Step(format, args...)
	var lines []string
	for c := range projections.List[*corev1.PersistentVolumeClaim](s.Snapshot(), "", "persistentvolumeclaims", "") {
		lines = append(lines, fmt.Sprintf("claim %s: %v deleted=%t", c.Name, c.Finalizers, c.DeletionTimestamp != nil))
	}
	for v := range projections.List[*corev1.PersistentVolume](s.Snapshot(), "", "persistentvolumes", "") {
		lines = append(lines, fmt.Sprintf("volume %s: %v deleted=%t", v.Name, v.Finalizers, v.DeletionTimestamp != nil))
	}
	slices.Sort(lines)
	s.script.Say("left", strings.Join(lines, "\n"))
}

func (s story) claim(name string, finalizers ...string) {
	s.Create(controllers.PersistentVolumeClaim, &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, Finalizers: finalizers}})
	s.Settle()
}

// pod makes one on a node ("": none yet) with one volume.
func (s story) pod(name, node string, source corev1.VolumeSource) events.Key {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}
	pod.Spec.NodeName = node
	pod.Spec.Volumes = []corev1.Volume{{Name: "scratch", VolumeSource: source}}
	s.Create(controllers.Pod, pod)
	s.Settle()
	return controllers.Pod.Key("default", name)
}

func of(claim string) corev1.VolumeSource {
	return corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim}}
}

func claimKey(name string) events.Key { return controllers.PersistentVolumeClaim.Key("default", name) }

func TestClaimsInUse(t *testing.T) {
	tell(t, "claims", func(s story) {
		s.claim("free")
		s.step("a claim is protected")
		s.Patch(claimKey("free"), `{"metadata":{"finalizers":null}}`)
		s.step("and again, if somebody takes the finalizer off")
		s.Delete(claimKey("free"), "")
		s.step("nobody uses it: it goes")
		s.claim("data")
		bound, waiting := s.pod("bound", "n1", of("data")), s.pod("waiting", "", of("data"))
		s.step("a claim with a pod on a node, and one that waits for a node")
		s.Delete(claimKey("data"), "")
		s.step("it is deleted while they use it")
		s.Patch(bound, `{"metadata":{"labels":{"x":"y"}}}`)
		s.step("a change of the pod lets nothing go")
		s.PatchStatus(bound, `{"status":{"phase":"Succeeded"}}`)
		s.step("nor does that it ends: it is still on its node")
		s.Delete(bound, "")
		s.step("it goes: a pod without a node doesn't keep the claim")
		s.claim("data")
		s.Delete(waiting, "")
		s.step("a pod goes whose claim isn't deleted")
	})
}

// A claim that was made for a pod is free as soon as nothing of the pod runs, so
// that both can go when the pod waits for its claim.
func TestClaimOfAPod(t *testing.T) {
	tell(t, "ephemeral", func(s story) {
		ephemeral := corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{VolumeClaimTemplate: &corev1.PersistentVolumeClaimTemplate{}}}
		web := s.pod("web", "n1", ephemeral)
		pod := controllertest.Get[*corev1.Pod](s.World, web)
		controls := true
		s.Create(controllers.PersistentVolumeClaim, &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web-scratch",
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: "web", UID: pod.UID, Controller: &controls}}}})
		s.step("a pod with a claim of its own")
		s.Patch(web, `{"metadata":{"finalizers":["example.com/waits"]}}`)
		s.Delete(claimKey("web-scratch"), "")
		s.step("the claim is deleted while the pod runs")
		s.Delete(web, "")
		s.step("the pod is being deleted, and has time to end")
		s.PatchStatus(web, `{"status":{"phase":"Succeeded"}}`)
		s.Delete(web, "")
		s.step("nothing of it runs any more, though it is still there")

		s.pod("db", "n1", ephemeral)
		s.claim("db-scratch")
		s.Delete(claimKey("db-scratch"), "")
		s.step("a claim of the name that isn't the pod's")
	})
}

func TestBoundVolumes(t *testing.T) {
	tell(t, "volumes", func(s story) {
		for _, name := range []string{"free", "bound"} {
			s.Create(controllers.PersistentVolume, &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: name}})
			s.Settle()
		}
		bound := controllers.PersistentVolume.Key("", "bound")
		s.PatchStatus(bound, `{"status":{"phase":"Bound"}}`)
		s.step("two volumes, one is bound")
		s.Delete(controllers.PersistentVolume.Key("", "free"), "")
		s.Settle()
		s.Delete(bound, "")
		s.step("both are deleted")
		s.PatchStatus(bound, `{"status":{"phase":"Released"}}`)
		s.step("its claim is gone")
		s.Create(controllers.PersistentVolume, &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "bound", Finalizers: []string{"example.com/waits"}}})
		s.Settle()
		s.Delete(bound, "")
		s.step("a finalizer of somebody else's stays")
	})
}

// A class stays as long as a claim or a volume names it, in whichever place.
func TestAttributesClasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		w.Run(volumeprotection.NewAttributesClasses())
		key := controllers.VolumeAttributesClass.Key("", "fast")
		w.Create(controllers.VolumeAttributesClass, &storagev1.VolumeAttributesClass{ObjectMeta: metav1.ObjectMeta{Name: "fast"}, DriverName: "disk.example.com"})
		fast := "fast"
		w.Create(controllers.PersistentVolume, &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "v"}, Spec: corev1.PersistentVolumeSpec{VolumeAttributesClassName: &fast}})
		w.Create(controllers.PersistentVolumeClaim, &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "c"}})
		w.PatchStatus(claimKey("c"), `{"status":{"modifyVolumeStatus":{"targetVolumeAttributesClassName":"fast","status":"Pending"}}}`)
		w.Settle()
		if got := controllertest.Get[*storagev1.VolumeAttributesClass](w, key).Finalizers; !slices.Equal(got, []string{"kubernetes.io/vac-protection"}) {
			t.Errorf("finalizers are %v", got)
		}
		there := func(when string, want bool) {
			t.Helper()
			w.Settle()
			if got := w.Snapshot().Get(key).Exists(); got != want {
				t.Errorf("%s: is it there? %t", when, got)
			}
		}
		w.Delete(key, "")
		there("both use it", true)
		w.Patch(controllers.PersistentVolume.Key("", "v"), `{"spec":{"volumeAttributesClassName":"slow"}}`)
		there("the claim is being given it", true)
		w.PatchStatus(claimKey("c"), `{"status":{"modifyVolumeStatus":null,"currentVolumeAttributesClassName":"fast"}}`)
		there("the claim has it", true)
		w.Delete(claimKey("c"), "")
		there("nobody uses it", false)
	})
}

// Many claims that are deleted at once cost a few looks through their namespace.
func TestManyClaimsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		w.Run(volumeprotection.NewClaims())
		const n = 200
		for i := range n {
			name := fmt.Sprintf("c%03d", i)
			w.Create(controllers.PersistentVolumeClaim, &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}})
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}
			if i%2 == 0 {
				pod.Spec.NodeName = "n1"
			}
			pod.Spec.Volumes = []corev1.Volume{{Name: "scratch", VolumeSource: of(name)}}
			w.Create(controllers.Pod, pod)
		}
		w.Settle()
		for i := range n {
			w.Delete(claimKey(fmt.Sprintf("c%03d", i)), "")
		}
		w.Advance(time.Second)
		left := 0
		for c := range projections.List[*corev1.PersistentVolumeClaim](w.Snapshot(), "", "persistentvolumeclaims", "default") {
			left++
			if c.Name[3]%2 == 1 {
				t.Errorf("%s is left", c.Name)
			}
		}
		if left != n/2 {
			t.Errorf("%d are left, want the %d that are used", left, n/2)
		}
	})
}
