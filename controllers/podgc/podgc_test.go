package podgc_test

import (
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/controllers/podgc"
)

func TestPodsThatAreOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		w.Run(podgc.New())
		for _, node := range []string{"n1", "n2"} {
			w.Create(controllers.Node, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node}})
		}
		pod := func(name, node string, finalizers ...string) {
			p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, Finalizers: finalizers}}
			p.Spec.NodeName = node
			w.Create(controllers.Pod, p)
		}
		script := controllertest.NewTranscript(w, "over")
		pod("stays", "n1")
		pod("ends", "n1")
		pod("stranded", "n2")
		script.Step("three pods")
		w.Schedule("n1")
		w.Settle()
		w.Delete(controllers.Pod.Key("default", "ends"), "")
		script.Step("one is deleted and ends")
		w.Delete(controllers.Node.Key("", "n2"), "")
		script.Step("a node is removed")
		w.Advance(39 * time.Second)
		script.Step("39 seconds later")
		w.Advance(2 * time.Second)
		script.Step("and two more")
		pod("astray", "nowhere")
		w.Advance(41 * time.Second)
		script.Step("a pod is bound to no node")
		pod("patient", "n1")
		w.Delete(controllers.Node.Key("", "n1"), "")
		w.Advance(30 * time.Second)
		w.Create(controllers.Node, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}})
		w.Advance(time.Minute)
		script.Step("a node is back in time")
		script.Done()
	})
}
