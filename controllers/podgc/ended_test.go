package podgc_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/controllers/podgc"
	"github.com/reckon-project/reckon/projections"
)

func newPod(name, node string, finalizers ...string) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, Finalizers: finalizers}}
	p.Spec.NodeName = node
	return p
}

func TestTheOldestEndedPodsGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		w.Create(controllers.Node, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}})
		w.Run(podgc.Keeping(3))
		for i := range 7 {
			name := fmt.Sprintf("p%d", i)
			w.Create(controllers.Pod, newPod(name, "n1"))
			w.Advance(time.Second)
			switch i {
			case 0: // runs on
			case 4:
				w.PatchStatus(controllers.Pod.Key("default", name), `{"status":{"phase":"Failed","reason":"Evicted"}}`)
			default:
				w.PatchStatus(controllers.Pod.Key("default", name), `{"status":{"phase":"Succeeded"}}`)
			}
		}
		w.Advance(time.Minute)
		var left []string
		for pod := range projections.List[*corev1.Pod](w.Snapshot(), "", "pods", "default") {
			left = append(left, pod.Name)
		}
		if got := fmt.Sprint(left); got != "[p0 p3 p5 p6]" {
			t.Errorf("%s are left", got)
		}
	})
}

func TestPodsThatNobodyEndsFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		w.Create(controllers.Node, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}})
		w.Run(podgc.New())
		w.Create(controllers.Pod, newPod("stranded", "n1", "example.com/hold"))
		w.Create(controllers.Pod, newPod("unbound", "", "example.com/hold"))
		stranded, unbound := controllers.Pod.Key("default", "stranded"), controllers.Pod.Key("default", "unbound")
		w.PatchStatus(stranded, `{"status":{"conditions":[{"type":"Ready","status":"True"}]}}`)
		w.Delete(controllers.Node.Key("", "n1"), "")
		w.Delete(unbound, "")
		w.Advance(41 * time.Second)
		p := controllertest.Get[*corev1.Pod](w, stranded)
		if p.Status.Phase != corev1.PodFailed || p.DeletionTimestamp == nil || len(p.Status.Conditions) != 2 ||
			p.Status.Conditions[0].Type != corev1.DisruptionTarget || p.Status.Conditions[0].Reason != "DeletionByPodGC" {
			t.Errorf("it is %+v", p.Status)
		}
		if p := controllertest.Get[*corev1.Pod](w, unbound); p.Status.Phase != corev1.PodFailed || len(p.Status.Conditions) != 0 {
			t.Errorf("it is %+v", p.Status)
		}
	})
}
