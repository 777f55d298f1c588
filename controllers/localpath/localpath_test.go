package localpath_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/controllers/localpath"
	"github.com/reckon-project/reckon/controllers/volumebinding"
	"github.com/reckon-project/reckon/controllers/volumeexpand"
	"github.com/reckon-project/reckon/controllers/volumeprotection"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

func tell(t *testing.T, name string, play func(w *controllertest.World, script *controllertest.Transcript)) {
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		w.Run(localpath.New(), localpath.NewClass(), volumebinding.New(), volumeexpand.New(), volumeprotection.NewClaims(), volumeprotection.NewVolumes())
		script := controllertest.NewTranscript(w, name)
		w.Create(controllers.Namespace, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "kube-system"}})
		w.Settle()
		play(w, script)
		script.Done()
	})
}

func claim(name string) *corev1.PersistentVolumeClaim {
	class := localpath.ClassName
	c := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, Finalizers: []string{"kubernetes.io/pvc-protection"}}}
	c.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}
	c.Spec.Resources.Requests = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}
	c.Spec.StorageClassName = &class
	return c
}

func key(name string) events.Key { return controllers.PersistentVolumeClaim.Key("default", name) }

// of gives the volume of a claim.
func of(w *controllertest.World, name string) *corev1.PersistentVolume {
	c := controllertest.Get[*corev1.PersistentVolumeClaim](w, key(name))
	return controllertest.Get[*corev1.PersistentVolume](w, controllers.PersistentVolume.Key("", c.Spec.VolumeName))
}

// report is what a node's agent tells about a volume.
func report(t *testing.T, w *controllertest.World, v *corev1.PersistentVolume, node, status string) {
	t.Helper()
	if _, err := w.Bus.Log().Append(t.Context(), bus.Entry{Event: &events.Event{
		Prefix: events.PrefixFact, Reporter: node, Key: controllers.PersistentVolume.Key("", v.Name), ID: bus.NewID(), Source: "agent/" + node,
		Type: events.Reported, Time: time.Now(), UID: string(v.UID), Counter: events.Counter{Incarnation: 1, N: 1},
		ContentType: events.ContentPatch, Data: []byte(status),
	}}); err != nil {
		t.Fatal(err)
	}
}

// A node can report any status of a volume; that alone deletes nothing.
func TestAVolumeInUseIsNotDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		w.Run(localpath.New(), localpath.NewClass(), volumebinding.New(), volumeprotection.NewClaims(), volumeprotection.NewVolumes())
		w.Create(controllers.Namespace, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "kube-system"}})
		w.Create(controllers.Node, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1", Annotations: map[string]string{localpath.AnnFolder: "/v"}}})
		w.Settle()
		c := claim("data")
		c.Annotations = map[string]string{"volume.kubernetes.io/selected-node": "n1"}
		w.Create(controllers.PersistentVolumeClaim, c)
		w.Settle()
		report(t, w, of(w, "data"), "n2", `{"status":{"phase":"Released"}}`)
		w.Settle()
		if v := of(w, "data"); v.DeletionTimestamp != nil || v.Status.Phase != corev1.VolumeBound {
			t.Errorf("the volume is %s, deleted %v", v.Status.Phase, v.DeletionTimestamp)
		}
	})
}

func TestFolderOnANode(t *testing.T) {
	tell(t, "folder", func(w *controllertest.World, script *controllertest.Transcript) {
		// Two controllers finish what is being created and deleted, in any order: only the turns are written down.
		script.Keep = func(e *events.Event) bool {
			return e.Prefix != events.PrefixFact && e.Type != events.Elected && e.Type != events.Updated
		}
		w.Create(controllers.Node, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1", Labels: map[string]string{corev1.LabelHostname: "host1"}}})
		script.Step("a cluster begins")
		w.Create(controllers.PersistentVolumeClaim, claim("data"))
		script.Step("a claim")
		w.Patch(key("data"), `{"metadata":{"annotations":{"volume.kubernetes.io/selected-node":"n1"}}}`)
		script.Step("the scheduler selects a node, which doesn't say where its volumes are")
		w.Patch(controllers.Node.Key("", "n1"), `{"metadata":{"annotations":{"reckon.dev/volumes":"/var/lib/reckon/volumes"}}}`)
		script.Step("it does")
		v := of(w, "data")
		script.Say("the volume", fmt.Sprintf("path %s\nnode %v\nclaim %s, policy %s, phase %s, finalizers %v", v.Spec.Local.Path,
			v.Spec.NodeAffinity.Required.NodeSelectorTerms[0].MatchExpressions, v.Spec.ClaimRef.Name, v.Spec.PersistentVolumeReclaimPolicy, v.Status.Phase, v.Finalizers))
		w.Patch(key("data"), `{"spec":{"resources":{"requests":{"storage":"5Gi"}}}}`)
		script.Step("the claim grows")
		capacity := controllertest.Get[*corev1.PersistentVolumeClaim](w, key("data")).Status.Capacity[corev1.ResourceStorage]
		script.Say("its capacity", capacity.String())

		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "user"}}
		pod.Spec.NodeName = "n1"
		pod.Spec.Volumes = []corev1.Volume{{Name: "d", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}}}}
		w.Create(controllers.Pod, pod)
		w.Delete(key("data"), "")
		script.Step("it is deleted while a pod uses it")
		zero := controllers.Pod.Key("default", "user")
		w.Patch(zero, `{"metadata":{"finalizers":[]}}`)
		w.PatchStatus(zero, `{"status":{"phase":"Succeeded"}}`)
		w.Delete(zero, "")
		w.Advance(time.Second) // protection looks through a namespace now and then
		script.Step("the pod goes: the volume waits for its node")
		report(t, w, v, "n2", `{"status":{"reason":"FolderRemoved"}}`)
		script.Step("another node says that the folder is gone")
		report(t, w, v, "n1", `{"status":{"reason":"FolderRemoved"}}`)
		script.Step("its node has removed the folder")
		if n := w.Snapshot().Len("", "persistentvolumes"); n != 0 {
			t.Errorf("%d volumes are left", n)
		}
	})
}

func TestANodeThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		w.Run(localpath.New(), localpath.NewClass(), volumebinding.New(), volumeprotection.NewClaims(), volumeprotection.NewVolumes())
		w.Create(controllers.Namespace, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "kube-system"}})
		w.Create(controllers.Node, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1", Annotations: map[string]string{localpath.AnnFolder: "/v"}}})
		w.Settle()
		c := claim("data")
		c.Annotations = map[string]string{"volume.kubernetes.io/selected-node": "n1"}
		w.Create(controllers.PersistentVolumeClaim, c)
		w.Settle()
		w.Delete(key("data"), "")
		w.Settle()
		if n := w.Snapshot().Len("", "persistentvolumes"); n != 1 {
			t.Fatalf("%d volumes wait for the node, not 1", n)
		}
		w.Delete(controllers.Node.Key("", "n1"), "")
		w.Settle()
		if n := w.Snapshot().Len("", "persistentvolumes"); n != 0 {
			t.Errorf("%d volumes are left of a node that is gone", n)
		}
		c = claim("astray")
		c.Annotations = map[string]string{"volume.kubernetes.io/selected-node": "n1"}
		w.Create(controllers.PersistentVolumeClaim, c)
		w.Settle()
		if got := controllertest.Get[*corev1.PersistentVolumeClaim](w, key("astray")).Annotations["volume.kubernetes.io/selected-node"]; got != "" {
			t.Errorf("the claim still waits for node %q, which is gone", got)
		}
	})
}

func TestWhatAFolderCannotBe(t *testing.T) {
	block := corev1.PersistentVolumeBlock
	for name, change := range map[string]func(*corev1.PersistentVolumeClaim){
		"block":    func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeMode = &block },
		"many":     func(c *corev1.PersistentVolumeClaim) { c.Spec.AccessModes[0] = corev1.ReadWriteMany },
		"selector": func(c *corev1.PersistentVolumeClaim) { c.Spec.Selector = &metav1.LabelSelector{} },
	} {
		synctest.Test(t, func(t *testing.T) {
			w := controllertest.NewWorld(t)
			defer w.Stop()
			w.Run(localpath.New(), localpath.NewClass(), volumebinding.New())
			w.Create(controllers.Namespace, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "kube-system"}})
			w.Create(controllers.Node, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1", Annotations: map[string]string{localpath.AnnFolder: "/v"}}})
			w.Settle()
			c := claim(name)
			c.Annotations = map[string]string{"volume.kubernetes.io/selected-node": "n1"}
			change(c)
			w.Create(controllers.PersistentVolumeClaim, c)
			w.Settle()
			said := 0
			for e, err := range w.Bus.Log().Read(t.Context(), 1) {
				if err != nil {
					t.Fatal(err)
				}
				if e.Reason == "ProvisioningFailed" {
					said++
				}
			}
			if said != 1 || w.Snapshot().Len("", "persistentvolumes") != 0 {
				t.Errorf("%s: said no %d times, %d volumes", name, said, w.Snapshot().Len("", "persistentvolumes"))
			}
		})
	}
}

// The class is made once: not again after a user deleted it, not as a second default.
func TestClass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		w.Create(controllers.StorageClass, &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "own", Annotations: map[string]string{"storageclass.kubernetes.io/is-default-class": "true"}}})
		w.Create(controllers.Namespace, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "kube-system"}})
		w.Run(localpath.NewClass())
		w.Settle()
		class := controllertest.Get[*storagev1.StorageClass](w, controllers.StorageClass.Key("", localpath.ClassName))
		if len(class.Annotations) != 0 {
			t.Errorf("a second default class: %v", class.Annotations)
		}
		w.Delete(controllers.StorageClass.Key("", localpath.ClassName), "")
		w.Settle()
		w.Patch(controllers.Namespace.Key("", "kube-system"), `{"metadata":{"labels":{"a":"b"}}}`)
		w.Settle()
		if _, ok := projections.Get[*storagev1.StorageClass](w.Snapshot(), controllers.StorageClass.Key("", localpath.ClassName)); ok {
			t.Error("the class that a user deleted came back")
		}
	})
}
