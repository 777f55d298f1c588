package integration

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/tools/remotecommand"
)

// near serves the node's own API on the loopback: clients of WebSockets dial TCP.
func (n *node) near(t *testing.T) *rest.Config {
	t.Helper()
	through := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: "node"}) },
		Transport: &http.Transport{DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return n.bus.Dial(ctx, "tunnel.n1.conn") }},
	}
	server := httptest.NewServer(through)
	t.Cleanup(server.Close)
	return &rest.Config{Host: server.URL}
}

// TestServe: what the node serves of pods that run: sessions over WebSockets, with
// one stream closed before the others, and what they use.
func TestServe(t *testing.T) {
	n := newNode(t)
	box := newPod("box", "/bin/httpd", "-f", "-p", "8080", "-h", "/etc")
	box.Spec.Containers[0].Ports = []v1.ContainerPort{{ContainerPort: 8080}}
	box.Spec.Containers[0].ReadinessProbe = &v1.Probe{PeriodSeconds: 1, TimeoutSeconds: 5, FailureThreshold: 3,
		ProbeHandler: v1.ProbeHandler{TCPSocket: &v1.TCPSocketAction{Port: intstr.FromInt32(8080)}}}
	box.Spec.Volumes = []v1.Volume{{Name: "scratch", VolumeSource: v1.VolumeSource{EmptyDir: &v1.EmptyDirVolumeSource{}}}}
	box.Spec.Containers[0].VolumeMounts = []v1.VolumeMount{{Name: "scratch", MountPath: "/scratch"}}
	n.run(box)
	n.await(box, "ready", isReady)
	t.Run("exec", func(t *testing.T) { testWebSocketExec(t, n) })
	t.Run("port-forward", func(t *testing.T) { testWebSocketForward(t, n) })
	t.Run("statistics", func(t *testing.T) { testStatistics(t, n) })
}

// testWebSocketExec: cat ends when its input does, and only then is its output whole.
func testWebSocketExec(t *testing.T, n *node) {
	near := n.near(t)
	for script, want := range map[string]string{
		"cat; echo end; echo bad >&2": "throughend\n", "exit 3": "",
	} {
		e, err := remotecommand.NewWebSocketExecutor(near, "GET", near.Host+"/exec/default/box/main?input=1&output=1&error=1&command=/bin/sh&command=-c&command="+url.QueryEscape(script))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		var out, errs bytes.Buffer
		err = e.StreamWithContext(ctx, remotecommand.StreamOptions{Stdin: strings.NewReader("through"), Stdout: &out, Stderr: &errs})
		cancel()
		if script == "exit 3" {
			if err == nil || !strings.Contains(err.Error(), "exit code 3") {
				t.Errorf("%s: %v", script, err)
			}
			continue
		}
		if err != nil || out.String() != want || errs.String() != "bad\n" {
			t.Errorf("%s: %q and %q, %v", script, out.String(), errs.String(), err)
		}
	}
}

func testWebSocketForward(t *testing.T, n *node) {
	near := n.near(t)
	at, err := url.Parse(near.Host + "/portForward/default/box")
	if err != nil {
		t.Fatal(err)
	}
	dialer, err := portforward.NewSPDYOverWebsocketDialer(at, near)
	if err != nil {
		t.Fatal(err)
	}
	stop, ready := make(chan struct{}), make(chan struct{})
	f, err := portforward.New(dialer, []string{"0:8080"}, stop, ready, io.Discard, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- f.ForwardPorts() }()
	select {
	case <-ready:
	case err := <-done:
		t.Fatal(err)
	}
	ports, err := f.GetPorts()
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d/hosts", ports[0].Local))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r.Body)
	r.Body.Close()
	if err != nil || !strings.Contains(string(text), "box") {
		t.Errorf("through the port came %q, %v", text, err)
	}
	close(stop)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// testStatistics: what the node says that the pod uses.
func testStatistics(t *testing.T, n *node) {
	for path, want := range map[string][]string{
		"/stats/summary": {`"nodeName":"n1"`, `"name":"box"`, `"usageCoreNanoSeconds"`, `"workingSetBytes"`, `"rootfs"`, `"logs"`, `"name":"scratch"`,
			`"network"`, `"rxBytes"`, `"process_stats":{"process_count":`, `"rlimit"`, `"imageFs"`, `"ephemeral-storage"`},
		"/metrics/resource": {"node_cpu_usage_seconds_total ", `container_start_time_seconds{container="main",namespace="default",pod="box"}`, "resource_scrape_error 0"},
		"/metrics/cadvisor": {`container_network_receive_bytes_total{container="",`, `container_processes{container="main",`, `container_memory_cache{container="main"`, "machine_cpu_cores "},
		"/metrics/probes":   {`prober_probe_total{container="main",namespace="default",pod="box",`},
		"/metrics":          {`kubelet_running_containers{container_state="running"} 1`},
		"/runningpods":      {`"name":"box"`},
		"/configz":          {`"containerRuntimeEndpoint":"unix://`},
	} {
		got := n.get(path)
		for _, text := range want {
			if !strings.Contains(got, text) {
				t.Errorf("%s doesn't say %q:\n%s", path, text, got)
			}
		}
	}
}
