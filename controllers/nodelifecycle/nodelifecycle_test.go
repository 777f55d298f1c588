package nodelifecycle_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/controllers/nodelifecycle"
	"github.com/reckon-project/reckon/events"
)

var n1 = controllers.Node.Key("", "n1")

func start(t *testing.T) *controllertest.World {
	w := controllertest.NewWorld(t)
	w.Run(nodelifecycle.New(nodelifecycle.NewBeats(w.Bus, time.Now), 0), nodelifecycle.NewZones(), nodelifecycle.NewEviction(), nodelifecycle.NewPods())
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}}
	node.Spec.Taints = []corev1.Taint{{Key: corev1.TaintNodeNotReady, Effect: corev1.TaintEffectNoSchedule}, {Key: "mine", Effect: corev1.TaintEffectNoSchedule}}
	w.Create(controllers.Node, node)
	// Another one that is ready: where none is nothing is evicted.
	addNode(w, "n2", "")
	w.Settle()
	return w
}

func addNode(w *controllertest.World, name, zone string) {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if zone != "" {
		node.Labels = map[string]string{corev1.LabelTopologyZone: zone}
	}
	w.Create(controllers.Node, node)
	setReady(w, name, corev1.ConditionTrue)
}

func setReady(w *controllertest.World, name string, status corev1.ConditionStatus) {
	w.PatchStatus(controllers.Node.Key("", name), `{"status":{"conditions":[{"type":"Ready","status":%q,"lastTransitionTime":%q}]}}`,
		status, time.Now().UTC().Format(time.RFC3339))
}

// beat lets time pass with a heartbeat of these nodes every four seconds.
func beat(t *testing.T, w *controllertest.World, d time.Duration, nodes ...string) {
	t.Helper()
	for ; d > 0; d -= min(d, 4*time.Second) {
		for _, node := range nodes {
			if err := w.Bus.Publish("beat."+node, nil); err != nil {
				t.Fatal(err)
			}
		}
		w.Advance(min(d, 4*time.Second))
	}
}

func show(w *controllertest.World) string {
	node := controllertest.Get[*corev1.Node](w, n1)
	var b strings.Builder
	for _, c := range node.Status.Conditions {
		fmt.Fprintf(&b, "%s %s (%s)\n", c.Type, c.Status, c.Reason)
	}
	for _, t := range node.Spec.Taints {
		fmt.Fprintf(&b, "taint %s %s\n", t.Key, t.Effect)
	}
	for o := range w.Snapshot().List("", "pods", "") {
		pod := o.Value.(*corev1.Pod)
		fmt.Fprintf(&b, "pod %s", pod.Name)
		for _, c := range pod.Status.Conditions {
			if c.Type == corev1.PodReady {
				fmt.Fprintf(&b, " ready %s %s", c.Status, c.Reason)
			}
			if c.Type == corev1.DisruptionTarget {
				fmt.Fprintf(&b, " target %s", c.Reason)
			}
		}
		if pod.DeletionTimestamp != nil {
			b.WriteString(" deleted")
		}
		b.WriteString("\n")
	}
	return strings.ReplaceAll(b.String(), " \n", "\n")
}

func seconds(n int64) *int64 { return &n }

func TestLostAndRecovered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		defer w.Stop()
		script := controllertest.NewTranscript(w, "lost")
		w.PatchStatus(n1, `{"status":{"conditions":[{"type":"Ready","status":"True","reason":"KubeletReady"},{"type":"MemoryPressure","status":"False","reason":"Enough"}]}}`)
		w.Schedule("n1")
		w.Nodes.Become(func(p *corev1.Pod) controllertest.State { return controllertest.Ready })
		for name, tolerations := range map[string][]corev1.Toleration{
			"a-minute": {{Key: corev1.TaintNodeUnreachable, Operator: corev1.TolerationOpExists, TolerationSeconds: seconds(60)}},
			"at-once":  nil,
			"for-ever": {{Operator: corev1.TolerationOpExists}},
		} {
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}
			pod.Spec.Tolerations = tolerations
			w.Create(controllers.Pod, pod)
		}
		beat(t, w, 5*time.Minute, "n1", "n2")
		script.Say("five minutes of heartbeats", show(w))
		beat(t, w, 40*time.Second, "n2")
		script.Say("40 s of silence", show(w))
		beat(t, w, 15*time.Second, "n2")
		script.Say("55 s of silence", show(w))
		beat(t, w, time.Minute, "n2")
		script.Say("a minute more", show(w))
		beat(t, w, 4*time.Second, "n1", "n2")
		script.Say("a heartbeat", show(w))
		script.Keep = func(e *events.Event) bool {
			return e.Type == events.Lost || e.Type == events.Recovered || e.Reason == "TaintManagerEviction"
		}
		script.Step("the log says")
		script.Done()
	})
}

func TestTaintsFollowConditions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		defer w.Stop()
		script := controllertest.NewTranscript(w, "taints")
		step := func(name string) { w.Settle(); script.Say(name, show(w)) }
		step("registered")
		w.PatchStatus(n1, `{"status":{"conditions":[{"type":"Ready","status":"False","reason":"NetworkNotReady"}]}}`)
		step("not ready")
		w.PatchStatus(n1, `{"status":{"conditions":[{"type":"Ready","status":"True","reason":"KubeletReady"},{"type":"DiskPressure","status":"True","reason":"Full"}]}}`)
		step("ready with a full disk")
		w.Patch(n1, `{"spec":{"unschedulable":true}}`)
		step("cordoned")
		w.Patch(n1, `{"spec":{"unschedulable":null}}`)
		step("uncordoned")
		script.Done()
	})
}
