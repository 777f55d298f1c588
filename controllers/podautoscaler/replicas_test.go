package podautoscaler

import (
	"fmt"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// aPod is a pod of 1000m CPU that runs since an hour; change makes it another.
func aPod(i int, change func(*corev1.Pod)) *corev1.Pod {
	hour := metav1.NewTime(noon.Add(-time.Hour))
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("p%d", i)}}
	pod.Spec.Containers = []corev1.Container{{Name: "c", Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1")}}}}
	pod.Status = corev1.PodStatus{Phase: corev1.PodRunning, StartTime: &hour, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: hour}}}
	if change != nil {
		change(pod)
	}
	return pod
}

// young makes a pod that began, and became ready or not, before noon.
func young(began, changed time.Duration, status corev1.ConditionStatus) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		at := metav1.NewTime(noon.Add(-began))
		pod.Status.StartTime = &at
		pod.Status.Conditions[0].Status, pod.Status.Conditions[0].LastTransitionTime = status, metav1.NewTime(noon.Add(-changed))
	}
}

func phase(p corev1.PodPhase) func(*corev1.Pod) {
	return func(pod *corev1.Pod) { pod.Status.Phase = p }
}

func gone(pod *corev1.Pod) {
	at := metav1.NewTime(noon)
	pod.DeletionTimestamp = &at
}

const none = -1 // no sample

// TestUtilization has the cases of CPU by utilization, target 50 % unless it says.
func TestUtilization(t *testing.T) {
	for name, test := range map[string]struct {
		loads   []int64 // in thousandths of a core; none: no sample
		pods    []func(*corev1.Pod)
		target  int32
		want    int32
		percent int64
	}{
		"on target":                    {loads: []int64{500, 500}, want: 2, percent: 50},
		"within the tolerance above":   {loads: []int64{550, 550}, want: 2, percent: 55},
		"just outside":                 {loads: []int64{560, 560}, want: 3, percent: 56},
		"within the tolerance below":   {loads: []int64{450, 450}, want: 2, percent: 45},
		"double":                       {loads: []int64{1000, 1000}, want: 4, percent: 100},
		"a third":                      {loads: []int64{150, 150, 150}, want: 1, percent: 15},
		"rounded up":                   {loads: []int64{700, 700, 700}, want: 5, percent: 70},
		"failed pods don't count":      {loads: []int64{1000, 1000}, pods: []func(*corev1.Pod){nil, phase(corev1.PodFailed)}, want: 2, percent: 100},
		"deleted pods don't count":     {loads: []int64{1000, 1000, 1000}, pods: []func(*corev1.Pod){nil, nil, gone}, want: 4, percent: 100},
		"pending damps a rise":         {loads: []int64{1000, none}, pods: []func(*corev1.Pod){nil, phase(corev1.PodPending)}, want: 2, percent: 100},
		"pending doesn't stop a rise":  {loads: []int64{1000, 1000, 1000, none}, pods: []func(*corev1.Pod){nil, nil, nil, phase(corev1.PodPending)}, want: 6, percent: 100},
		"missing damps a fall":         {loads: []int64{100, 100, none}, want: 3, percent: 10},
		"missing doesn't turn a fall":  {loads: []int64{450, 100, none}, want: 3, percent: 27},
		"missing lets some fall":       {loads: []int64{10, 10, 10, 10, none}, want: 2, percent: 1},
		"missing damps a rise":         {loads: []int64{1000, 1000, none}, want: 4, percent: 100},
		"missing doesn't turn a rise":  {loads: []int64{600, none}, want: 2, percent: 60},
		"missing, target above 100 %":  {loads: []int64{1000, none}, target: 200, want: 2, percent: 100},
		"starting pods damp a rise":    {loads: []int64{1000, 2000}, pods: []func(*corev1.Pod){nil, young(time.Minute, 30*time.Second, corev1.ConditionFalse)}, want: 2, percent: 100},
		"sample from before readiness": {loads: []int64{1000, 2000}, pods: []func(*corev1.Pod){nil, young(time.Minute, 20*time.Second, corev1.ConditionTrue)}, want: 2, percent: 100},
		"a whole window since then":    {loads: []int64{1000, 2000}, pods: []func(*corev1.Pod){nil, young(2*time.Minute, time.Minute, corev1.ConditionTrue)}, want: 6, percent: 150},
		"never was ready":              {loads: []int64{1000, 2000}, pods: []func(*corev1.Pod){nil, young(time.Hour, time.Hour-10*time.Second, corev1.ConditionFalse)}, want: 2, percent: 100},
		"was ready, isn't now":         {loads: []int64{1000, 2000}, pods: []func(*corev1.Pod){nil, young(time.Hour, time.Minute, corev1.ConditionFalse)}, want: 6, percent: 150},
	} {
		t.Run(name, func(t *testing.T) {
			c := perPod{samples: map[string]sample{}, current: int32(len(test.loads)), tolerances: tolerances{0.1, 0.1}, cpu: true, now: noon}
			for i, load := range test.loads {
				var change func(*corev1.Pod)
				if i < len(test.pods) {
					change = test.pods[i]
				}
				c.pods = append(c.pods, aPod(i, change))
				if load != none {
					c.samples[fmt.Sprintf("p%d", i)] = sample{load, noon, 30 * time.Second}
				}
			}
			target := test.target
			if target == 0 {
				target = 50
			}
			requests, err := requestsOf(c.pods, "", corev1.ResourceCPU)
			if err != nil {
				t.Fatal(err)
			}
			c.ratio = utilization(requests, target)
			c.full = func(pod string) int64 { return requests[pod] * int64(max(100, target)) / 100 }
			got, percent, _, err := c.replicas()
			if err != nil || got != test.want || percent != test.percent {
				t.Errorf("%d replicas at %d %%, %v; want %d at %d %%", got, percent, err, test.want, test.percent)
			}
		})
	}
}

func TestPlainAndShared(t *testing.T) {
	c := perPod{pods: []*corev1.Pod{aPod(0, nil), aPod(1, nil)}, current: 2, tolerances: tolerances{0.1, 0.1}, now: noon}
	c.samples = map[string]sample{"p0": {value: 30_000}, "p1": {value: 10_000}}
	c.ratio, c.full = plain(10_000), func(string) int64 { return 10_000 }
	if n, _, average, err := c.replicas(); n != 4 || average != 20_000 || err != nil {
		t.Errorf("pods metric: %d replicas at %d, %v", n, average, err)
	}
	within := tolerances{0.1, 0.1}
	if n, err := byValue(30_000, 10_000, 2, c.pods, within); n != 6 || err != nil {
		t.Errorf("a value of three targets with two ready pods: %d, %v", n, err)
	}
	if n, err := byValue(30_000, 10_000, 0, nil, within); n != 3 || err != nil {
		t.Errorf("from zero: %d, %v", n, err)
	}
	if n, err := byValue(0, 10_000, 0, nil, within); n != 0 || err != nil {
		t.Errorf("zero stays zero: %d, %v", n, err)
	}
	if _, err := byValue(30_000, 10_000, 2, nil, within); err == nil {
		t.Error("without pods there is nothing to calculate with")
	}
	for _, test := range []struct {
		value      int64
		running, n int32
		each       int64
	}{
		{value: 50_000, running: 2, n: 5, each: 25_000},
		{value: 21_000, running: 2, n: 2, each: 10_500},
		{value: 5_000, running: 2, n: 1, each: 2_500},
		{value: 0, running: 2, n: 0, each: 0},
		{value: 20_000, running: 0, n: 2, each: 20_000},
	} {
		if n, each := byShare(test.value, 10_000, test.running, within); n != test.n || each != test.each {
			t.Errorf("%d shared by %d: %d replicas with %d each, want %d with %d", test.value, test.running, n, each, test.n, test.each)
		}
	}
}

func TestTolerances(t *testing.T) {
	h := hpa(1, 5)
	h.Spec.Behavior = &autoscalingv2.HorizontalPodAutoscalerBehavior{
		ScaleUp:   &autoscalingv2.HPAScalingRules{Tolerance: p(resource.MustParse("0.3"))},
		ScaleDown: &autoscalingv2.HPAScalingRules{Tolerance: p(resource.MustParse("0"))},
	}
	own := tolerancesOf(h)
	for ratio, want := range map[float64]bool{1: true, 1.29: true, 1.31: false, 0.99: false} {
		if own.allow(ratio) != want {
			t.Errorf("%v is allowed: %v", ratio, !want)
		}
	}
}

func TestRequests(t *testing.T) {
	always := corev1.ContainerRestartPolicyAlways
	request := func(q string) corev1.ResourceRequirements {
		return corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(q)}}
	}
	pod := aPod(0, func(pod *corev1.Pod) {
		pod.Spec.InitContainers = []corev1.Container{{Name: "once", Resources: request("9")}, {Name: "sidecar", Resources: request("500m"), RestartPolicy: &always}}
	})
	for container, want := range map[string]int64{"": 1500, "c": 1000, "sidecar": 500} {
		if got, err := requestsOf([]*corev1.Pod{pod}, container, corev1.ResourceCPU); err != nil || got["p0"] != want {
			t.Errorf("%q requests %v, %v", container, got, err)
		}
	}
	for container, r := range map[string]corev1.ResourceName{"nobody": corev1.ResourceCPU, "": corev1.ResourceMemory} {
		if got, err := requestsOf([]*corev1.Pod{pod}, container, r); err == nil {
			t.Errorf("%q requests %v of %s", container, got, r)
		}
	}
	pod.Spec.Resources = p(request("3"))
	if got, err := requestsOf([]*corev1.Pod{pod}, "", corev1.ResourceCPU); err != nil || got["p0"] != 3000 {
		t.Errorf("the pod's own request: %v, %v", got, err)
	}
}
