package nodelifecycle_test

import (
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
)

// TestTolerationSeconds has the taint come first, or the pod; taints that nobody
// gave a time; several tolerations; and a taint that goes in time.
func TestTolerationSeconds(t *testing.T) {
	tolerates := func(key string, s int64) corev1.Toleration {
		return corev1.Toleration{Key: key, Operator: corev1.TolerationOpExists, TolerationSeconds: &s}
	}
	for name, c := range map[string]struct {
		tolerations []corev1.Toleration
		late        time.Duration // the pod comes so long after the taint
		gone        time.Duration // when the taint goes; 0: never
		stays       time.Duration // the pod, from when both are there; 0: for ever
	}{
		"a minute":                          {tolerations: []corev1.Toleration{tolerates("a", 60)}, stays: time.Minute},
		"a minute, though the taint is old": {tolerations: []corev1.Toleration{tolerates("a", 60)}, late: time.Hour, stays: time.Minute},
		"the first of several counts":       {tolerations: []corev1.Toleration{tolerates("a", 90), tolerates("", 30)}, stays: 90 * time.Second},
		"the first is for ever":             {tolerations: []corev1.Toleration{{Operator: corev1.TolerationOpExists}, tolerates("a", 30)}},
		"the taint goes in time":            {tolerations: []corev1.Toleration{tolerates("a", 60)}, gone: 50 * time.Second},
		"nothing less than nothing":         {tolerations: []corev1.Toleration{tolerates("a", -5)}, stays: time.Millisecond},
		"another taint":                     {tolerations: []corev1.Toleration{tolerates("b", 60)}, stays: time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := start(t)
				defer w.Stop()
				setReady(w, "n1", corev1.ConditionTrue)
				pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "p"}}
				pod.Spec.NodeName, pod.Spec.Tolerations = "n1", c.tolerations
				k := controllers.Pod.Key("default", "p")
				taint := func() { w.Patch(n1, `{"spec":{"taints":[{"key":"a","effect":"NoExecute"}]}}`) }
				if c.late > 0 {
					taint()
					beat(t, w, c.late, "n1", "n2")
					w.Create(controllers.Pod, pod)
				} else {
					w.Create(controllers.Pod, pod)
					beat(t, w, time.Hour, "n1", "n2")
					taint()
				}
				w.Settle()
				lives := func() bool {
					o := w.Snapshot().Get(k)
					return o.Exists() && o.Meta().GetDeletionTimestamp() == nil
				}
				if c.gone > 0 {
					beat(t, w, c.gone, "n1", "n2")
					w.Patch(n1, `{"spec":{"taints":null}}`)
				}
				if c.stays > time.Second {
					beat(t, w, c.stays-time.Second, "n1", "n2")
					if !lives() {
						t.Fatal("it went too early")
					}
					beat(t, w, 2*time.Second, "n1", "n2")
				} else {
					beat(t, w, c.stays, "n1", "n2")
				}
				if c.stays == 0 {
					beat(t, w, time.Hour, "n1", "n2")
				}
				if got := lives(); got != (c.stays == 0) {
					t.Errorf("does it live? %v", got)
				}
				told := 0
				for e, err := range w.Bus.Log().Read(t.Context(), 1) {
					if err != nil {
						t.Fatal(err)
					}
					if e.Key == k && e.Reason == "TaintManagerEviction" && e.Note == "Cancelling deletion of Pod default/p" {
						told++
					}
				}
				if calledOff := c.gone > 0; calledOff != (told == 1) {
					t.Errorf("told %d times that it was called off", told)
				}
				if !lives() {
					marked := ""
					for _, c := range controllertest.Get[*corev1.Pod](w, k).Status.Conditions {
						if c.Type == corev1.DisruptionTarget {
							marked = c.Reason
						}
					}
					if marked != "DeletionByTaintManager" {
						t.Errorf("it was marked %q", marked)
					}
				}
			})
		})
	}
}
