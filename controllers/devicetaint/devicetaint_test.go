package devicetaint_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/controllers/devicetaint"
)

var (
	key      = controllers.Pod.Key("default", "p")
	claimKey = controllers.ResourceClaim.Key("default", "gpu")
	rule     = controllers.DeviceTaintRule.Key("", "bad")
)

func seconds(n int64) *int64 { return &n }

// slice is that of a pool's generation, with one device.
func slice(name string, generation int64, taints ...resourcev1.DeviceTaint) *resourcev1.ResourceSlice {
	return &resourcev1.ResourceSlice{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: resourcev1.ResourceSliceSpec{
			Driver: "d.example", Pool: resourcev1.ResourcePool{Name: "n1", Generation: generation, ResourceSliceCount: 1},
			Devices: []resourcev1.Device{{Name: "gpu-0", Taints: taints}},
		},
	}
}

// start has a pod on n1 with the device gpu-0, for the uid that its claim is reserved for ("": its own).
func start(t *testing.T, uid string, tolerations ...resourcev1.DeviceToleration) *controllertest.World {
	w := controllertest.NewWorld(t)
	w.Run(devicetaint.New())
	name := "gpu"
	w.Create(controllers.Pod, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "p"},
		Spec:       corev1.PodSpec{NodeName: "n1", ResourceClaims: []corev1.PodResourceClaim{{Name: "dev", ResourceClaimName: &name}}},
	})
	w.Create(controllers.ResourceClaim, &resourcev1.ResourceClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "gpu"}})
	if uid == "" {
		uid = string(controllertest.Get[*corev1.Pod](w, key).UID)
	}
	results, err := json.Marshal([]resourcev1.DeviceRequestAllocationResult{{Request: "dev", Driver: "d.example", Pool: "n1", Device: "gpu-0", Tolerations: tolerations}})
	if err != nil {
		t.Fatal(err)
	}
	w.PatchStatus(claimKey, `{"status":{"allocation":{"devices":{"results":%s}},"reservedFor":[{"resource":"pods","name":"p","uid":%q}]}}`, results, uid)
	w.Settle()
	return w
}

// show says whether the pod is there, and what was told of it.
func show(t *testing.T, w *controllertest.World) string {
	t.Helper()
	out := []string{"lives"}
	if o := w.Snapshot().Get(key); !o.Exists() || o.Meta().GetDeletionTimestamp() != nil {
		out[0] = "gone"
	} else {
		for _, c := range o.Value.(*corev1.Pod).Status.Conditions {
			out = append(out, c.Reason)
		}
	}
	for e, err := range w.Bus.Log().Read(t.Context(), 1) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Reason == "DeviceTaintManagerEviction" {
			out = append(out, e.Note)
		}
	}
	return strings.Join(out, ", ")
}

func evicting(key string) resourcev1.DeviceTaint {
	return resourcev1.DeviceTaint{Key: key, Effect: resourcev1.DeviceTaintEffectNoExecute}
}

// TestTaintedDevices has a device get a taint by its slice.
func TestTaintedDevices(t *testing.T) {
	tolerates := func(key string, n *int64) resourcev1.DeviceToleration {
		return resourcev1.DeviceToleration{Key: key, Operator: resourcev1.DeviceTolerationOpExists, Effect: resourcev1.DeviceTaintEffectNoExecute, TolerationSeconds: n}
	}
	for name, c := range map[string]struct {
		tolerations []resourcev1.DeviceToleration
		uid         string
		taint       resourcev1.DeviceTaint
		stays       time.Duration // 0: for ever
	}{
		"not tolerated":           {taint: evicting("a"), stays: time.Millisecond},
		"tolerated for ever":      {tolerations: []resourcev1.DeviceToleration{tolerates("a", nil)}, taint: evicting("a")},
		"for ever beats for long": {tolerations: []resourcev1.DeviceToleration{tolerates("a", seconds(9)), tolerates("a", nil)}, taint: evicting("a")},
		"the shortest counts":     {tolerations: []resourcev1.DeviceToleration{tolerates("a", seconds(90)), tolerates("", seconds(60))}, taint: evicting("a"), stays: time.Minute},
		"another is tolerated":    {tolerations: []resourcev1.DeviceToleration{tolerates("b", nil)}, taint: evicting("a"), stays: time.Millisecond},
		"no room is no reason":    {taint: resourcev1.DeviceTaint{Key: "a", Effect: resourcev1.DeviceTaintEffectNoSchedule}},
		"another pod's claim":     {uid: "of-another", taint: evicting("a")},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := start(t, c.uid, c.tolerations...)
				defer w.Stop()
				w.Create(controllers.ResourceSlice, slice("old", 1))
				now := metav1.Now()
				c.taint.TimeAdded = &now
				w.Create(controllers.ResourceSlice, slice("new", 2, c.taint))
				if c.stays > time.Second {
					w.Advance(c.stays - 2*time.Second)
					if got := show(t, w); got != "lives" {
						t.Fatalf("too early it %s", got)
					}
					w.Advance(4 * time.Second)
				} else {
					w.Advance(c.stays + time.Millisecond)
				}
				want := "gone, Marking for deletion"
				if c.stays == 0 {
					w.Advance(time.Hour)
					want = "lives"
				}
				if got := show(t, w); got != want {
					t.Errorf("it %s, not %s", got, want)
				}
			})
		})
	}
}

// TestOldSlices: what an older generation of a pool says doesn't count.
func TestOldSlices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, "")
		defer w.Stop()
		w.Create(controllers.ResourceSlice, slice("new", 2))
		w.Create(controllers.ResourceSlice, slice("old", 1, evicting("a")))
		w.Advance(time.Hour)
		if got := show(t, w); got != "lives" {
			t.Errorf("it %s", got)
		}
	})
}

// TestRules: an administrator's rule evicts, whether a slice has the device or not,
// and is taken back in time; one that concerns others does nothing.
func TestRules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		minute := int64(60)
		w := start(t, "", resourcev1.DeviceToleration{Operator: resourcev1.DeviceTolerationOpExists, Effect: resourcev1.DeviceTaintEffectNoExecute, TolerationSeconds: &minute})
		defer w.Stop()
		script := controllertest.NewTranscript(w, "rules")
		script.Step("a pod with a device")
		taint := func(device string) {
			now := metav1.Now()
			bad := evicting("bad")
			bad.TimeAdded = &now
			w.Create(controllers.DeviceTaintRule, &resourcev1.DeviceTaintRule{
				ObjectMeta: metav1.ObjectMeta{Name: "bad"},
				Spec:       resourcev1.DeviceTaintRuleSpec{DeviceSelector: &resourcev1.DeviceTaintSelector{Device: &device}, Taint: bad},
			})
		}
		for i, step := range []struct {
			device string
			wait   time.Duration
			want   string
		}{
			{"gpu-1", time.Hour, "lives"},
			{"gpu-0", 50 * time.Second, "lives, Cancelling deletion"},
			{"gpu-0", 61 * time.Second, "gone, Cancelling deletion, Marking for deletion"},
		} {
			taint(step.device)
			w.Advance(step.wait)
			w.Delete(rule, "")
			w.Advance(time.Second)
			script.Step("a rule about %s is there for %s", step.device, step.wait)
			if got := show(t, w); got != step.want {
				t.Errorf("%s: it %s, not %s", fmt.Sprint(i, step.device), got, step.want)
			}
		}
		script.Done()
	})
}
