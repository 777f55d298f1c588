package revision_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/controllers/revision"
	"github.com/reckon-project/reckon/events"
)

var kind = controllers.Selecting{Kind: controllers.StatefulSet, Selector: func(o *events.Object) *metav1.LabelSelector {
	return o.Value.(*appsv1.StatefulSet).Spec.Selector
}}

var web = controllers.StatefulSet.Key("default", "web")

func template(image string) corev1.PodTemplateSpec {
	user := int64(65534)
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}},
		Spec: corev1.PodSpec{
			SecurityContext: &corev1.PodSecurityContext{RunAsUser: &user},
			Containers: []corev1.Container{{
				Name: "c", Image: image, Args: []string{"<a&b>"},
				Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{"cpu": resource.MustParse("100m")}},
			}},
		},
	}
}

// history drives the package as a controller does.
type history struct {
	t *testing.T
	w *controllertest.World
	// collisions of the parent's status
	collisions *int32
}

func run(t *testing.T, f func(h *history)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		one := int32(1)
		w.Create(controllers.StatefulSet, &appsv1.StatefulSet{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web", Annotations: map[string]string{"kubernetes.io/change-cause": "why"}},
			Spec:       appsv1.StatefulSetSpec{Replicas: &one, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}, Template: template("web:1")},
		})
		f(&history{t: t, w: w})
	})
}

func (h *history) parent(image string) revision.Parent {
	t := template(image)
	return revision.Parent{Kind: kind, Object: h.w.Snapshot().Get(web), Template: &t, Collisions: h.collisions, Naming: revision.ByData}
}

func (h *history) find() []*events.Object {
	return revision.Find(h.w.Snapshot(), h.parent(""), labels.SelectorFromSet(labels.Set{"app": "web"}))
}

// present gives the revision of a template after what it took to have it.
func (h *history) present(image string) *appsv1.ControllerRevision {
	h.t.Helper()
	for range 5 {
		p, err := h.parent(image).Present(h.w.Snapshot(), h.find())
		switch {
		case err != nil:
			h.t.Fatal(err)
		case p.Revision != nil:
			return revision.Of(p.Revision)
		case p.Collided:
			h.collisions = revision.Raised(h.collisions)
		}
		h.carryOut(p.Intents)
	}
	h.t.Fatalf("no revision for %s", image)
	return nil
}

func (h *history) carryOut(intents []controllers.Intent) {
	h.t.Helper()
	for _, i := range intents {
		switch i.Verb {
		case controllers.VerbCreate:
			h.w.Create(controllers.ControllerRevision, i.Object)
		case controllers.VerbPatch:
			h.w.Patch(i.Key, "%s", i.Data)
		case controllers.VerbDelete:
			h.w.Delete(i.Key, "")
		default:
			h.t.Fatalf("can't %s", i.Verb)
		}
	}
}

func (h *history) numbers() string {
	var all []string
	for _, o := range h.find() {
		t, err := revision.Template(revision.Of(o))
		if err != nil {
			h.t.Fatal(err)
		}
		all = append(all, fmt.Sprintf("%d=%s", revision.Of(o).Revision, t.Spec.Containers[0].Image))
	}
	return fmt.Sprint(all)
}

// The bytes and names are those that Kubernetes 1.37 computes for this template.
func TestAsKubernetesWritesIt(t *testing.T) {
	tpl := template("web:1")
	data, err := revision.Data(&tpl)
	if err != nil {
		t.Fatal(err)
	}
	if string(data) != wantData {
		t.Errorf("data are\n%s, want\n%s", data, wantData)
	}
	back, err := revision.Template(&appsv1.ControllerRevision{Data: runtime.RawExtension{Raw: data}})
	if err != nil || !apiequality.Semantic.DeepEqual(back, &tpl) {
		t.Errorf("comes back as %v (%v)", back, err)
	}
	one := int32(1)
	if got := []string{revision.TemplateHash(&tpl, nil), revision.TemplateHash(&tpl, &one)}; !slices.Equal(got, wantTemplateHashes) {
		t.Errorf("template hashes are %v, want %v", got, wantTemplateHashes)
	}
	run(t, func(h *history) {
		if got := h.present("web:1"); got.Name != wantName || got.Labels["controller.kubernetes.io/hash"] != wantName[len("web-"):] ||
			got.Labels["app"] != "web" || got.Annotations["kubernetes.io/change-cause"] != "why" {
			t.Errorf("the revision is %s %v %v, want %s", got.Name, got.Labels, got.Annotations, wantName)
		}
	})
}

func TestNumbers(t *testing.T) {
	run(t, func(h *history) {
		first := h.present("web:1")
		h.present("web:2")
		h.present("web:3")
		if got := h.numbers(); got != "[1=web:1 2=web:2 3=web:3]" {
			t.Errorf("revisions are %s", got)
		}
		if again := h.present("web:1"); again.UID != first.UID || again.Revision != 4 {
			t.Errorf("the undone template's revision is %s number %d, want %s with 4", again.Name, again.Revision, first.Name)
		}
		if again := h.present("web:1"); again.Revision != 4 {
			t.Errorf("its number went on to %d", again.Revision)
		}
		if got := h.numbers(); got != "[2=web:2 3=web:3 4=web:1]" {
			t.Errorf("revisions are %s", got)
		}
	})
}

func TestPrune(t *testing.T) {
	run(t, func(h *history) {
		for i := range 6 {
			h.present(fmt.Sprintf("web:%d", i+1))
		}
		inUse := func(r *appsv1.ControllerRevision) bool { return r.Revision == 1 || r.Revision == 6 }
		h.carryOut(revision.Prune(h.find(), -1, inUse))
		h.carryOut(revision.Prune(h.find(), 2, inUse))
		if got := h.numbers(); got != "[1=web:1 4=web:4 5=web:5 6=web:6]" {
			t.Errorf("revisions are %s", got)
		}
		h.carryOut(revision.Prune(h.find(), 0, inUse))
		if got := h.numbers(); got != "[1=web:1 6=web:6]" {
			t.Errorf("revisions are %s", got)
		}
	})
}

func TestNameTaken(t *testing.T) {
	run(t, func(h *history) {
		h.w.Create(controllers.ControllerRevision, &appsv1.ControllerRevision{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: wantName}, Data: runtime.RawExtension{Raw: []byte(`{"x":1}`)},
		})
		if got := h.present("web:1"); got.Name != wantNameCollided || *h.collisions != 1 {
			t.Errorf("the revision is %s after %d collisions, want %s", got.Name, *h.collisions, wantNameCollided)
		}
	})
}

func TestOrphanAdopted(t *testing.T) {
	run(t, func(h *history) {
		h.w.Create(controllers.ControllerRevision, &appsv1.ControllerRevision{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: wantName, Labels: map[string]string{"app": "web"}},
			Data:       runtime.RawExtension{Raw: []byte(wantData)}, Revision: 7,
		})
		if got := h.present("web:1"); got.Revision != 7 || controllers.ControllerRef(got) == nil {
			t.Errorf("the revision is %d, controlled by %v", got.Revision, controllers.ControllerRef(got))
		}
	})
}

func TestOfAnEarlierParent(t *testing.T) {
	run(t, func(h *history) {
		ref := kind.Ref(&metav1.ObjectMeta{Name: "web", UID: "earlier"})
		h.w.Create(controllers.ControllerRevision, &appsv1.ControllerRevision{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: wantName, OwnerReferences: []metav1.OwnerReference{ref}},
			Data:       runtime.RawExtension{Raw: []byte(wantData)}, Revision: 7,
		})
		p, err := h.parent("web:1").Present(h.w.Snapshot(), h.find())
		if err != nil || p.Revision != nil || p.Collided || len(p.Intents) > 0 {
			t.Errorf("%+v (%v), want to wait until it is gone", p, err)
		}
		h.w.Delete(controllers.ControllerRevision.Key("default", wantName), "")
		if got := h.present("web:1"); got.Name != wantName || got.Revision != 1 {
			t.Errorf("the revision is %s number %d", got.Name, got.Revision)
		}
	})
}

// An older version of the API wrote fields that this one leaves out.
func TestSameMeaning(t *testing.T) {
	run(t, func(h *history) {
		h.w.Create(controllers.ControllerRevision, &appsv1.ControllerRevision{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: "default", Name: "web-older", Labels: map[string]string{"app": "web"},
				OwnerReferences: []metav1.OwnerReference{kind.Ref(h.w.Snapshot().Get(web).Meta())},
			},
			Data:     runtime.RawExtension{Raw: []byte(`{"spec":{"template":{"$patch":"replace","metadata":{"creationTimestamp":null,` + wantData[len(`{"spec":{"template":{"$patch":"replace","metadata":{`):])},
			Revision: 3,
		})
		if got := h.present("web:1"); got.Name != "web-older" {
			t.Errorf("the revision is %s", got.Name)
		}
	})
}
