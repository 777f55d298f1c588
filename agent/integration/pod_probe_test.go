package integration

import (
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/reckon-project/reckon/agent"
	"github.com/reckon-project/reckon/agent/image"
	"github.com/reckon-project/reckon/events"
)

const answerer = "reckon.dev/answerer:1"

// loadAnswerer builds the program that probes ask and puts its image on the node.
func (n *node) loadAnswerer() {
	n.t.Helper()
	program := filepath.Join(n.t.TempDir(), "answerer")
	if out, err := exec.Command("go", "build", "-o", program, "./answerer").CombinedOutput(); err != nil {
		n.t.Fatalf("build the program that answers: %v\n%s", err, out)
	}
	img, err := image.Build(image.Spec{Path: program})
	if err != nil {
		n.t.Fatal(err)
	}
	client, err := agent.Layout(n.options).Start(n.t.Context())
	if err != nil {
		n.t.Fatal(err)
	}
	defer client.Close()
	if _, err := image.Load(n.t.Context(), client.Daemon(), answerer, img); err != nil {
		n.t.Fatal(err)
	}
	if err := image.AwaitCRI(n.t.Context(), client, answerer); err != nil {
		n.t.Fatal(err)
	}
}

func TestProbesOfEverySort(t *testing.T) {
	n := newNode(t)
	n.loadAnswerer()
	deep := "deep"
	handlers := map[string]v1.ProbeHandler{
		"tcp":   {TCPSocket: &v1.TCPSocketAction{Port: intstr.FromInt32(7000)}},
		"grpc":  {GRPC: &v1.GRPCAction{Port: 9000, Service: &deep}},
		"https": {HTTPGet: &v1.HTTPGetAction{Scheme: v1.URISchemeHTTPS, Port: intstr.FromString("secure"), Path: "/", HTTPHeaders: []v1.HTTPHeader{{Name: "X-Probe", Value: "yes"}}}},
		"exec":  {Exec: &v1.ExecAction{Command: []string{"/bin/cat", "/etc/hostname"}}},
	}
	p := newPod("asked")
	p.Spec.Containers[0].Image, p.Spec.Containers[0].Command = answerer, nil
	for name, handler := range handlers {
		c := newPod("", "/bin/sleep", "1000").Spec.Containers[0]
		c.Name = name
		c.Ports = []v1.ContainerPort{{Name: "secure", ContainerPort: 8443}}
		c.ReadinessProbe = &v1.Probe{PeriodSeconds: 1, TimeoutSeconds: 5, FailureThreshold: 1, ProbeHandler: handler}
		p.Spec.Containers = append(p.Spec.Containers, c)
	}
	n.run(p)
	s, _ := n.await(p, "ready", isReady)
	for _, c := range []struct{ name, says string }{
		{"tcp", "connection refused"},
		{"grpc", `service unhealthy (responded with "NOT_SERVING")`},
		{"https", "HTTP probe failed with statuscode: 503"},
	} {
		answer, err := http.Get("http://" + s.PodIP + ":8080/stop/" + c.name)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		_, facts := n.await(p, "unready in "+c.name, func(s v1.PodStatus) bool {
			for _, status := range s.ContainerStatuses {
				if status.Name == c.name {
					return !status.Ready && !isReady(s)
				}
			}
			return false
		})
		if !tells(facts, "Readiness probe failed: ", c.says) {
			t.Errorf("no fact tells that %s fails with %q", c.name, c.says)
		}
	}
}

func tells(facts []*events.Event, parts ...string) bool {
	for _, f := range facts {
		all := true
		for _, part := range parts {
			all = all && strings.Contains(f.Note, part)
		}
		if all {
			return true
		}
	}
	return false
}

func TestExecProbeThatHangsRestartsTheContainer(t *testing.T) {
	n := newNode(t)
	p := newPod("hangs", "/bin/sleep", "1000")
	p.Spec.Containers[0].LivenessProbe = &v1.Probe{PeriodSeconds: 1, TimeoutSeconds: 1, FailureThreshold: 2,
		ProbeHandler: v1.ProbeHandler{Exec: &v1.ExecAction{Command: []string{"/bin/sleep", "77"}}}}
	n.run(p)
	_, facts := n.await(p, "restarted", func(s v1.PodStatus) bool { return first(s).RestartCount >= 1 })
	if !tells(facts, "Liveness probe failed: command timed out", "timed out after 1s") {
		t.Error("no fact tells that the command took too long")
	}
	if !tells(facts, "failed liveness probe, will be restarted") {
		t.Error("no fact tells why the container was restarted")
	}
}
