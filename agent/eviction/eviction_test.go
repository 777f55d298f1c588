package eviction_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/reckon-project/reckon/agent/eviction"
	"github.com/reckon-project/reckon/events"
)

func parse(t *testing.T, s eviction.Settings) []eviction.Threshold {
	t.Helper()
	out, err := s.Parse()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func memory(available string) eviction.Observations {
	return eviction.Observations{eviction.MemoryAvailable: {Available: resource.MustParse(available), Capacity: resource.MustParse("10Gi")}}
}

func TestSettings(t *testing.T) {
	got := parse(t, eviction.Settings{
		Hard: map[string]string{"memory.available": "100Mi", "nodefs.available": "10%", "pid.available": "0", "imagefs.available": "100%"},
		Soft: map[string]string{"memory.available": "1Gi"}, SoftGrace: map[string]string{"memory.available": "90s"},
		MinimumReclaim: map[string]string{"nodefs.available": "500Mi"},
	})
	var lines []string
	for _, v := range got {
		q, r := v.Value.Of(resource.MustParse("100Gi")), v.Reclaim.Of(resource.MustParse("100Gi"))
		lines = append(lines, fmt.Sprintf("%s<%s +%s %s", v.Signal, q.String(), r.String(), v.Grace))
	}
	want := "memory.available<100Mi +0 0s\nnodefs.available<10Gi +500Mi 0s\nmemory.available<1Gi +0 1m30s"
	if strings.Join(lines, "\n") != want {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(lines, "\n"), want)
	}
	for _, bad := range []eviction.Settings{
		{Hard: map[string]string{"memory.avail": "1"}}, {Hard: map[string]string{"memory.available": "ten"}}, {Hard: map[string]string{"memory.available": "-1"}},
		{Hard: map[string]string{"memory.available": "NaN%"}}, {Soft: map[string]string{"memory.available": "1"}}, {MinimumReclaim: map[string]string{"x": "1"}},
	} {
		if _, err := bad.Parse(); !errors.Is(err, events.ErrInvalid) {
			t.Errorf("%+v gives %v", bad, err)
		}
	}
}

// The life of a node whose memory becomes short and is free again.
func TestPressureComesAndGoes(t *testing.T) {
	thresholds := parse(t, eviction.Settings{
		Hard: map[string]string{"memory.available": "100Mi"}, Soft: map[string]string{"memory.available": "1Gi"},
		SoftGrace: map[string]string{"memory.available": "1m"}, MinimumReclaim: map[string]string{"memory.available": "200Mi"},
	})
	var s eviction.State
	begin := time.Unix(1000, 0)
	for _, step := range []struct {
		at         time.Duration
		available  string
		conditions string
		starved    string
	}{
		{0, "5Gi", "[]", ""},
		{10 * time.Second, "900Mi", "[MemoryPressure]", ""},             // the soft one has its grace
		{60 * time.Second, "900Mi", "[MemoryPressure]", ""},             // 50 s of it
		{70 * time.Second, "900Mi", "[MemoryPressure]", "1m0s"},         // over
		{80 * time.Second, "1100Mi", "[MemoryPressure]", "1m0s"},        // not yet the minimum
		{90 * time.Second, "2Gi", "[MemoryPressure]", ""},               // reclaimed; in transition
		{100 * time.Second, "50Mi", "[MemoryPressure]", "0s"},           // the hard one at once
		{110 * time.Second, "2Gi", "[MemoryPressure]", ""},              //
		{6*time.Minute + 39*time.Second, "2Gi", "[MemoryPressure]", ""}, // 299 s after it was last seen
		{6*time.Minute + 40*time.Second, "2Gi", "[]", ""},
	} {
		v := s.Look(thresholds, begin.Add(step.at), memory(step.available), 5*time.Minute)
		var starved []string
		for _, st := range v.Starved {
			starved = append(starved, st.Grace.String())
		}
		if got := fmt.Sprint(v.Conditions); got != step.conditions || strings.Join(starved, ",") != step.starved {
			t.Errorf("after %s with %s: %s, starved %q; want %s, %q", step.at, step.available, got, starved, step.conditions, step.starved)
		}
	}
}

func TestMemoryComesFirst(t *testing.T) {
	thresholds := parse(t, eviction.Settings{Hard: map[string]string{"imagefs.available": "10%", "nodefs.available": "10%", "memory.available": "1Gi"}})
	full := eviction.Observation{Available: resource.MustParse("1Gi"), Capacity: resource.MustParse("100Gi")}
	o := memory("100Mi")
	o[eviction.NodeFsAvailable], o[eviction.ImageFsAvailable] = full, full
	var s eviction.State
	v := s.Look(thresholds, time.Unix(0, 0), o, time.Minute)
	if v.Starved[0].Signal != eviction.MemoryAvailable || fmt.Sprint(v.Conditions) != "[DiskPressure MemoryPressure]" {
		t.Errorf("got %+v", v)
	}
	if eviction.Relieved(thresholds, o) || !eviction.Relieved(thresholds, memory("2Gi")) {
		t.Error("what is relieved is wrong")
	}
}

func pod(name string, priority int32, request string) *v1.Pod {
	p := &v1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name)}, Spec: v1.PodSpec{Priority: &priority, Containers: []v1.Container{{Name: "main"}}}}
	if request != "" {
		p.Spec.Containers[0].Resources.Requests = v1.ResourceList{v1.ResourceMemory: resource.MustParse(request), v1.ResourceEphemeralStorage: resource.MustParse(request)}
	}
	return p
}

func names(pods []*v1.Pod) (out []string) {
	for _, p := range pods {
		out = append(out, p.Name)
	}
	return out
}

func TestRank(t *testing.T) {
	const mi = 1 << 20
	pods := []*v1.Pod{pod("modest", 0, "300Mi"), pod("greedy", 0, "100Mi"), pod("greedier", 0, ""), pod("important", 10, ""), pod("unknown", 0, "1Gi")}
	uses := map[string]eviction.Usage{
		"modest": {Memory: 250 * mi, PIDs: 1}, "greedy": {Memory: 150 * mi, PIDs: 90}, "greedier": {Memory: 120 * mi, PIDs: 2}, "important": {Memory: 900 * mi, PIDs: 500},
	}
	if got, want := fmt.Sprint(names(eviction.Rank(eviction.MemoryAvailable, pods, uses, eviction.Layout{}))), "[unknown greedier greedy important modest]"; got != want {
		t.Errorf("for memory %s, want %s", got, want)
	}
	if got, want := fmt.Sprint(names(eviction.Rank(eviction.PIDAvailable, pods, uses, eviction.Layout{}))), "[unknown greedy greedier modest important]"; got != want {
		t.Errorf("for processes %s, want %s", got, want)
	}
	disk := map[string]eviction.Usage{
		"modest": {}, "greedy": {Containers: map[string]eviction.Container{"main": {Rootfs: eviction.Disk{Bytes: 10 * mi}, Logs: eviction.Disk{Bytes: 200 * mi}}}},
		"greedier": {Containers: map[string]eviction.Container{"main": {Rootfs: eviction.Disk{Bytes: 300 * mi}}}}, "important": {}, "unknown": {},
	}
	if got, want := names(eviction.Rank(eviction.ImageFsAvailable, pods, disk, eviction.Layout{ImageFs: true}))[0], "greedier"; got != want {
		t.Errorf("for images %s goes first, want %s", got, want)
	}
	if got, want := names(eviction.Rank(eviction.NodeFsAvailable, pods, disk, eviction.Layout{ImageFs: true}))[0], "greedy"; got != want {
		t.Errorf("for logs and volumes %s goes first, want %s", got, want)
	}
}

func TestMessages(t *testing.T) {
	thresholds := parse(t, eviction.Settings{Hard: map[string]string{"memory.available": "100Mi"}})
	p := pod("greedy", 0, "64Mi")
	use := eviction.Usage{Containers: map[string]eviction.Container{"main": {Memory: 100 << 20, Logs: eviction.Disk{Bytes: 3 << 20}}}, Volumes: map[string]eviction.Disk{"scratch": {Bytes: 2 << 20}}}
	want := "The node was low on resource: memory. Threshold quantity: 100Mi, available: 90Mi. Container main was using 100Mi, request is 64Mi, has larger consumption of memory. "
	if got := eviction.Message(thresholds, memory("90Mi"), p, use); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	limit := func(q string) v1.ResourceRequirements {
		return v1.ResourceRequirements{Limits: v1.ResourceList{v1.ResourceEphemeralStorage: resource.MustParse(q)}}
	}
	size := resource.MustParse("1Mi")
	volumes := []v1.Volume{{Name: "scratch", VolumeSource: v1.VolumeSource{EmptyDir: &v1.EmptyDirVolumeSource{}}}}
	for _, c := range []struct {
		change func(*v1.Pod)
		want   string
	}{
		{func(p *v1.Pod) {}, ""},
		{func(p *v1.Pod) { p.Spec.Containers[0].Resources = limit("10Mi") }, ""},
		{func(p *v1.Pod) { p.Spec.Containers[0].Resources = limit("4Mi") }, "Pod ephemeral local storage usage exceeds the total limit of containers 4Mi. "},
		{func(p *v1.Pod) {
			p.Spec.Containers[0].Resources = limit("2Mi")
			p.Spec.Containers = append(p.Spec.Containers, v1.Container{Name: "other", Resources: limit("1Gi")})
		}, `Container main exceeded its local ephemeral storage limit "2Mi". `},
		{func(p *v1.Pod) { p.Spec.Volumes[0].EmptyDir.SizeLimit = &size }, `Usage of EmptyDir volume "scratch" exceeds the limit "1Mi". `},
	} {
		p := pod("greedy", 0, "")
		p.Spec.Volumes = []v1.Volume{*volumes[0].DeepCopy()}
		c.change(p)
		if got := eviction.Exceeded(p, use, eviction.Layout{}); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
		if c.want != "" && !eviction.Limited(p) {
			t.Errorf("a pod with a limit isn't taken for one: %s", c.want)
		}
	}
}

func TestAdmission(t *testing.T) {
	memory, disk := []v1.NodeConditionType{v1.NodeMemoryPressure}, []v1.NodeConditionType{v1.NodeDiskPressure}
	critical, tolerant := pod("critical", 2000000000, ""), pod("tolerant", 0, "")
	tolerant.Spec.Tolerations = []v1.Toleration{{Key: v1.TaintNodeMemoryPressure, Operator: v1.TolerationOpExists, Effect: v1.TaintEffectNoSchedule}}
	for _, c := range []struct {
		conditions []v1.NodeConditionType
		pod        *v1.Pod
		qos        v1.PodQOSClass
		want       string
	}{
		{nil, pod("p", 0, ""), v1.PodQOSBestEffort, ""},
		{memory, pod("p", 0, ""), v1.PodQOSBestEffort, "The node had condition: [MemoryPressure]. "},
		{memory, pod("p", 0, ""), v1.PodQOSBurstable, ""},
		{memory, tolerant, v1.PodQOSBestEffort, ""},
		{disk, tolerant, v1.PodQOSBestEffort, "The node had condition: [DiskPressure]. "},
		{disk, pod("p", 0, ""), v1.PodQOSGuaranteed, "The node had condition: [DiskPressure]. "},
		{disk, critical, v1.PodQOSBestEffort, ""},
	} {
		if got := eviction.Admit(c.conditions, c.pod, c.qos); got != c.want {
			t.Errorf("%v, %s, %s: got %q, want %q", c.conditions, c.pod.Name, c.qos, got, c.want)
		}
	}
}
