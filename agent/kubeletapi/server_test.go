package kubeletapi

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
	kubelet "k8s.io/kubelet/config/v1beta1"
	stats "k8s.io/kubelet/pkg/apis/stats/v1alpha1"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/reckon-project/reckon/agent/measure"
	"github.com/reckon-project/reckon/agent/pod"
	"github.com/reckon-project/reckon/agent/probe"
	"github.com/reckon-project/reckon/agent/runtime"
)

// one is a node with one pod of one container.
type one struct {
	runtime.Runtime
	view  pod.View
	clock *clocktesting.FakeClock
}

func (o *one) Find(namespace, name string) (pod.View, bool) {
	return o.view, o.view.Pod.Namespace == namespace && o.view.Pod.Name == name
}
func (o *one) All() []pod.View { return []pod.View{o.view} }

func (o *one) ContainerStatus(context.Context, string) (*cri.ContainerStatus, error) {
	return &cri.ContainerStatus{Id: "c1", State: cri.ContainerState_CONTAINER_RUNNING, StartedAt: time.Unix(1000, 0).UnixNano()}, nil
}

// Stats says that the container uses half a core all the time.
func (o *one) Stats(context.Context) ([]*cri.ContainerStats, error) {
	now := o.clock.Now()
	return []*cri.ContainerStats{{
		Attributes: &cri.ContainerAttributes{Id: "c1", Metadata: &cri.ContainerMetadata{Name: "main"}, Labels: map[string]string{
			runtime.LabelPodUID: "u1", runtime.LabelPodName: "web", runtime.LabelPodNamespace: "default",
		}},
		Cpu: &cri.CpuUsage{Timestamp: now.UnixNano(), UsageCoreNanoSeconds: &cri.UInt64Value{Value: uint64(now.Sub(time.Unix(1000, 0))) / 2}},
		Memory: &cri.MemoryUsage{Timestamp: now.UnixNano(), WorkingSetBytes: &cri.UInt64Value{Value: 100 << 20}, UsageBytes: &cri.UInt64Value{Value: 120 << 20},
			RssBytes: &cri.UInt64Value{Value: 80 << 20}, PageFaults: &cri.UInt64Value{Value: 7}},
		WritableLayer: &cri.FilesystemUsage{Timestamp: now.UnixNano(), UsedBytes: &cri.UInt64Value{Value: 4096}, InodesUsed: &cri.UInt64Value{Value: 3},
			FsId: &cri.FilesystemIdentifier{Mountpoint: "/layers"}},
	}}, nil
}

// newOne serves it, at the time 1010.
func newOne(t *testing.T, change ...func(*Server)) (*one, func(method, path string) (int, string)) {
	t.Helper()
	start := metav1.NewTime(time.Unix(990, 0))
	o := &one{clock: clocktesting.NewFakeClock(time.Unix(1010, 0)), view: pod.View{
		Pod: &v1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web", UID: "u1"}, Spec: v1.PodSpec{
			Containers: []v1.Container{{Name: "main", Image: "example.com/web:1"}, {Name: "late"}},
			Volumes:    []v1.Volume{{Name: "scratch", VolumeSource: v1.VolumeSource{EmptyDir: &v1.EmptyDirVolumeSource{}}}},
		}},
		Status: &v1.PodStatus{StartTime: &start}, Sandbox: "s1",
		Containers: map[string]pod.ContainerView{"main": {ID: "c1", Running: true}},
	}}
	dir := t.TempDir()
	s := &Server{
		Node: "n1", Root: dir, Runtime: o, Pods: o, Meter: &measure.Meter{Runtime: o, Clock: o.clock}, Probes: probe.NewCounts(),
		Config:     func() kubelet.KubeletConfiguration { return kubelet.KubeletConfiguration{MaxPods: 17} },
		VolumePath: func(uid, name string) string { return filepath.Join(dir, "volumes", uid, name) },
		NodeLogs:   filepath.Join(dir, "nodelogs"),
		Log:        slog.New(slog.DiscardHandler), Clock: o.clock,
	}
	write := func(path, text string) {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(s.VolumePath("u1", "scratch"), "file"), strings.Repeat("x", 100_000))
	write(filepath.Join(s.NodeLogs, "kern.log"), "the kernel says\n")
	write(filepath.Join(dir, "secret"), "nobody's business")
	if err := os.Symlink("../secret", filepath.Join(s.NodeLogs, "link")); err != nil {
		t.Fatal(err)
	}
	write(filepath.Join(pod.LogDir(dir, o.view.Pod), pod.LogPath("main", 0)), `1970-01-01T00:16:40.5Z stdout F one
1970-01-01T00:16:45Z stderr F two
1970-01-01T00:16:49Z stdout P th
1970-01-01T00:16:49Z stdout F ree
`)
	for _, f := range change {
		f(s)
	}
	server := httptest.NewServer(s.Handler())
	t.Cleanup(server.Close)
	return o, func(method, path string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, string(text)
	}
}

func TestSummary(t *testing.T) {
	o, ask := newOne(t)
	ask("GET", "/stats/summary")
	o.clock.Step(10 * time.Second)
	_, text := ask("GET", "/stats/summary")
	var got stats.Summary
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	p := got.Pods[0]
	if p.PodRef != (stats.PodReference{Name: "web", Namespace: "default", UID: "u1"}) || p.StartTime.Unix() != 990 {
		t.Errorf("the pod is %+v since %s", p.PodRef, p.StartTime)
	}
	c := p.Containers[0]
	if c.Name != "main" || c.StartTime.Unix() != 1000 || *c.CPU.UsageNanoCores != 500_000_000 || *c.CPU.UsageCoreNanoSeconds != 10_000_000_000 {
		t.Errorf("the container's CPU: %s", text)
	}
	if *p.CPU.UsageNanoCores != 500_000_000 || *p.Memory.WorkingSetBytes != 100<<20 || *got.Node.Memory.WorkingSetBytes != 100<<20 {
		t.Errorf("the pod and the node: %s", text)
	}
	if *c.Rootfs.UsedBytes != 4096 || c.Rootfs.CapacityBytes == nil || *c.Logs.UsedBytes == 0 {
		t.Errorf("the container's disk: %s", text)
	}
	v := p.VolumeStats[0]
	if v.Name != "scratch" || *v.UsedBytes < 100_000 || *p.EphemeralStorage.UsedBytes < 100_000+4096 {
		t.Errorf("the volumes: %s", text)
	}
	if got.Node.Fs == nil || got.Node.Runtime.ImageFs == nil {
		t.Errorf("the node's disk: %s", text)
	}
	if _, text := ask("GET", "/stats/summary?only_cpu_and_memory=true"); strings.Contains(text, "rootfs") || !strings.Contains(text, "usageNanoCores") {
		t.Errorf("CPU and memory only: %s", text)
	}
}

func TestMetrics(t *testing.T) {
	_, ask := newOne(t)
	for path, want := range map[string][]string{
		"/metrics/resource": {
			"# TYPE node_cpu_usage_seconds_total counter", "node_memory_working_set_bytes 1.048576e+08 1010000",
			`container_cpu_usage_seconds_total{container="main",namespace="default",pod="web"} 5 1010000`,
			`container_memory_working_set_bytes{container="main",namespace="default",pod="web"} 1.048576e+08 1010000`,
			`container_start_time_seconds{container="main",namespace="default",pod="web"} 1000`,
			`pod_cpu_usage_seconds_total{namespace="default",pod="web"} 5 1010000`,
			`pod_memory_working_set_bytes{namespace="default",pod="web"} 1.048576e+08 1010000`,
			"resource_scrape_error 0", "\nscrape_error 0",
		},
		"/metrics/cadvisor": {
			`container_cpu_usage_seconds_total{container="main",cpu="total",id="/podu1/c1",image="example.com/web:1",name="c1",namespace="default",pod="web"} 5`,
			`container_cpu_usage_seconds_total{container="",cpu="total",id="/podu1",image="",name="",namespace="default",pod="web"} 5`,
			`container_memory_rss{container="main",`, "container_memory_failures_total", "container_spec_cpu_shares", "container_fs_usage_bytes", "container_last_seen",
		},
		"/metrics": {`kubelet_node_name{node="n1"} 1`, "kubelet_running_pods 1", `kubelet_running_containers{container_state="running"} 1`, "go_goroutines "},
	} {
		code, text := ask("GET", path)
		if code != http.StatusOK {
			t.Errorf("%s answers %d %s", path, code, text)
		}
		for _, line := range want {
			if !strings.Contains(text, line) {
				t.Errorf("%s doesn't say %q:\n%s", path, line, text)
			}
		}
	}
}

func TestProbeMetrics(t *testing.T) {
	var counts *probe.Counts
	_, ask := newOne(t, func(s *Server) { counts = s.Probes })
	good := counts.Of(func(context.Context) error { return nil }, "Readiness", "main", "web", "default", "u1")
	if err := good(t.Context()); err != nil {
		t.Fatal(err)
	}
	const want = `prober_probe_total{container="main",namespace="default",pod="web",pod_uid="u1",probe_type="Readiness",result="successful"} 1`
	if _, text := ask("GET", "/metrics/probes"); !strings.Contains(text, want) || !strings.Contains(text, "prober_probe_duration_seconds_bucket") {
		t.Errorf("the probes' metrics: %s", text)
	}
	counts.Forget("web", "default", "u1")
	if _, text := ask("GET", "/metrics/probes"); text != "" {
		t.Errorf("of a pod that is gone: %s", text)
	}
}

func TestLogOptions(t *testing.T) {
	_, ask := newOne(t)
	const logs = "/containerLogs/default/web/main"
	for query, want := range map[string]string{
		"":                                "one\ntwo\nthree\n",
		"?tailLines=2":                    "three\n", // entries: a line in parts is several
		"?tailLines=0":                    "",
		"?limitBytes=5":                   "one\nt",
		"?stream=Stdout":                  "one\nthree\n",
		"?stream=Stderr":                  "two\n",
		"?stream=All":                     "one\ntwo\nthree\n",
		"?sinceSeconds=6":                 "two\nthree\n",
		"?sinceTime=1970-01-01T00:16:46Z": "three\n",
		"?timestamps=true&stream=Stderr":  "1970-01-01T00:16:45.000000000Z two\n",
	} {
		code, text := ask("GET", logs+query)
		if code != http.StatusOK || text != want {
			t.Errorf("%s answers %d %q, not %q", query, code, text, want)
		}
	}
	for _, query := range []string{"?limitBytes=0", "?tailLines=-1", "?sinceSeconds=0", "?sinceTime=yesterday", "?stream=stdin", "?stream=Stdout&tailLines=1",
		"?sinceSeconds=1&sinceTime=1970-01-01T00:16:46Z", "?previous=true", "?limitBytes=many"} {
		if code, text := ask("GET", logs+query); code != http.StatusBadRequest {
			t.Errorf("%s answers %d %q", query, code, text)
		}
	}
}

func TestPages(t *testing.T) {
	_, ask := newOne(t)
	for _, page := range []struct {
		method, path string
		code         int
		text         string
	}{
		{"GET", "/healthz", 200, "ok"}, {"GET", "/healthz/ping", 200, "ok"}, {"GET", "/healthz/syncloop", 200, "ok"},
		{"GET", "/configz", 200, `"kubeletconfig":{"kind":"KubeletConfiguration"`}, {"GET", "/configz", 200, `"maxPods":17`},
		{"GET", "/pods", 200, `"kind":"PodList"`}, {"GET", "/pods/", 200, `"name":"web"`},
		{"GET", "/runningpods/", 200, `"containers":[{"name":"main","image":"example.com/web:1"`}, {"GET", "/runningpods", 200, `"uid":"u1"`},
		{"GET", "/logs/", 200, "kern.log"}, {"GET", "/logs/kern.log", 200, "the kernel says"},
		{"POST", "/checkpoint/default/web/main", 501, "can't write checkpoints"}, {"POST", "/checkpoint/default/web/none", 404, "not valid"},
		{"GET", "/checkpoint/default/web/main", 405, ""},
		{"GET", "/containerLogs/default/web/late", 400, "waiting to start"}, {"GET", "/containerLogs/default/nobody/main", 404, "does not exist"},
		{"POST", "/exec/default/web/main?command=x", 400, "at least 1 of stdin, stdout, stderr"}, {"POST", "/exec/default/web/u2/main?command=x&output=1", 404, "does not exist"},
		{"POST", "/portForward/default/web?port=x", 400, "not a number"}, {"GET", "/nothing", 404, ""},
	} {
		if code, text := ask(page.method, page.path); code != page.code || !strings.Contains(text, page.text) {
			t.Errorf("%s %s answers %d %q, not %d %q", page.method, page.path, code, text, page.code, page.text)
		}
	}
	if _, text := ask("GET", "/logs/link"); strings.Contains(text, "business") {
		t.Errorf("a link out of the logs' folder was followed: %q", text)
	}
	if _, text := ask("GET", "/runningpods"); strings.Contains(text, `"late"`) {
		t.Errorf("a container that doesn't run: %s", text)
	}
}
