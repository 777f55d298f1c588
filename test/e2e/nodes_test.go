package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestTwoNodes runs a cluster in one network namespace, lets a node in another
// one join it, each with its own containerd, and uses both.
func TestTwoNodes(t *testing.T) {
	first, second := newHost(t, 1), newHost(t, 2)
	connect(t, first, second)
	first.purgeAtEnd(t)
	second.purgeAtEnd(t)

	first.reckon(t, append([]string{"up", "--detach", "--nats-listen", first.address + ":4222", "--advertise-address", first.address}, first.nodeFlags()...)...)
	token := first.reckon(t, "token", second.name, "--data", first.data)
	second.startAgent(t, first.address+":4222", token)
	kubectl := func(args ...string) string {
		t.Helper()
		return first.reckon(t, append([]string{"kubectl", "--kubeconfig", filepath.Join(first.data, "admin.kubeconfig")}, args...)...)
	}
	first.eventually(t, "node/"+second.name, "kubectl", "--kubeconfig", filepath.Join(first.data, "admin.kubeconfig"), "get", "nodes", "-o", "name")
	kubectl("wait", "--for=condition=Ready", "node", "--all", "--timeout=60s")

	image := toolImage(t)
	for _, h := range []*host{first, second} {
		h.reckon(t, "image", "build", "--data", h.data, "--tag", "example.reckon.dev/tools:1", "--entrypoint", "/hello", image)
	}
	manifest := filepath.Join(t.TempDir(), "web.yaml")
	if err := os.WriteFile(manifest, []byte(twoNodesManifest), 0o600); err != nil {
		t.Fatal(err)
	}
	kubectl("apply", "-f", manifest)
	kubectl("rollout", "status", "deployment/web", "--timeout=90s")

	pods := map[string][]string{} // node → names
	addresses := map[string]string{}
	for _, line := range strings.Split(kubectl("get", "pods", "-l", "app=web", "-o", `jsonpath={range .items[*]}{.spec.nodeName} {.metadata.name} {.status.podIP}{"\n"}{end}`), "\n") {
		f := strings.Fields(line)
		pods[f[0]] = append(pods[f[0]], f[1])
		addresses[f[1]] = f[2]
	}
	for _, h := range []*host{first, second} {
		if len(pods[h.name]) == 0 {
			t.Fatalf("no pod of the deployment is on %s: %v", h.name, pods)
		}
	}
	service := kubectl("get", "service", "web", "-o", "jsonpath={.spec.clusterIP}")
	for _, pair := range [][2]*host{{first, second}, {second, first}} {
		here, there := pods[pair[0].name][0], pods[pair[1].name][0]
		answer := kubectl("exec", here, "--", "/busybox", "timeout", "10", "/busybox", "wget", "-qO-", "http://"+net.JoinHostPort(addresses[there], "8080")+"/")
		if !strings.Contains(answer, "hello from "+there) {
			t.Errorf("from %s to %s on the other node: %q", here, there, answer)
		}
		answered := map[string]bool{}
		for try := 0; try < 100 && len(answered) < len(addresses); try++ {
			answer := pair[0].run(t, "/bin/busybox", "timeout", "10", "/bin/busybox", "wget", "-qO-", "http://"+service+"/")
			answered[answer] = true
		}
		if len(answered) != len(addresses) {
			t.Errorf("on %s the service's address reaches %d pods, want %d: %v", pair[0].name, len(answered), len(addresses), answered)
		}
	}
	far := pods[second.name][0]
	if log := kubectl("logs", far); !strings.Contains(log, "listens") {
		t.Errorf("the log of %s, on the other node, is %q", far, log)
	}

	second.run(t, binaries.reckon, "down", "--purge", "--data", second.data)
	if links := second.run(t, "ip", "-o", "link"); strings.Contains(links, "reckon") {
		t.Errorf("the purged node left interfaces:\n%s", links)
	}
	if rules := second.run(t, "iptables-save"); strings.Contains(strings.ToLower(rules), "reckon") {
		t.Errorf("the purged node left rules:\n%s", rules)
	}
	if _, err := os.Stat(second.data); !os.IsNotExist(err) {
		t.Errorf("the purged node left its folder: %v", err)
	}
}

const twoNodesManifest = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 4
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      topologySpreadConstraints:
      - {maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {app: web}}}
      containers:
      - name: web
        image: example.reckon.dev/tools:1
        ports: [{containerPort: 8080}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
`

// toolImage is a root folder with the example's server and busybox.
func toolImage(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for name, from := range map[string]string{"hello": binaries.hello, "busybox": "/bin/busybox"} {
		in, err := os.Open(from)
		if err != nil {
			t.Fatalf("%v: run make deps", err)
		}
		out, err := os.OpenFile(filepath.Join(root, name), os.O_CREATE|os.O_WRONLY, 0o755)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(out, in); err != nil {
			t.Fatal(err)
		}
		in.Close()
		if err := out.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// host is a network namespace that stands for a machine.
type host struct {
	name, namespace, address, pods, data string
}

func newHost(t *testing.T, n int) *host {
	t.Helper()
	h := &host{
		name: fmt.Sprintf("n%d", n), namespace: fmt.Sprintf("rke2e-%d-%d", os.Getpid(), n),
		address: fmt.Sprintf("10.231.0.%d", n), pods: fmt.Sprintf("10.232.%d.0/24", n),
	}
	data, err := newDataFolder(h.namespace)
	if err != nil {
		t.Fatal(err)
	}
	h.data = data
	mustRun(t, "ip", "netns", "add", h.namespace)
	t.Cleanup(func() {
		mustRun(t, "ip", "netns", "delete", h.namespace)
		os.RemoveAll(filepath.Dir(data))
	})
	h.run(t, "ip", "link", "set", "lo", "up")
	return h
}

// connect joins two hosts by a cable, and tells each where the other's pods are.
func connect(t *testing.T, a, b *host) {
	t.Helper()
	mustRun(t, "ip", "link", "add", "eth0", "netns", a.namespace, "type", "veth", "peer", "name", "eth0", "netns", b.namespace)
	for _, pair := range [][2]*host{{a, b}, {b, a}} {
		here, there := pair[0], pair[1]
		here.run(t, "ip", "address", "add", here.address+"/24", "dev", "eth0")
		here.run(t, "ip", "link", "set", "eth0", "up")
		here.run(t, "ip", "route", "add", "default", "via", there.address)
		here.run(t, "ip", "route", "add", there.pods, "via", there.address)
	}
}

func (h *host) nodeFlags() []string {
	return []string{"--data", h.data, "--node-name", h.name, "--pod-cidr", h.pods, "--cluster-cidr", "10.232.0.0/16"}
}

// command runs in the host's namespace. ip netns exec would hide the cgroups.
func (h *host) command(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "nsenter", append([]string{"--net=/run/netns/" + h.namespace}, args...)...)
}

func (h *host) run(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 2*patience)
	defer cancel()
	text, err := h.command(ctx, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %s: %v\n%s", h.name, strings.Join(args, " "), err, text)
	}
	return strings.TrimSpace(string(text))
}

func (h *host) reckon(t *testing.T, args ...string) string {
	t.Helper()
	return h.run(t, append([]string{binaries.reckon}, args...)...)
}

func (h *host) eventually(t *testing.T, want string, args ...string) {
	t.Helper()
	var text []byte
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		text, _ = h.command(t.Context(), append([]string{binaries.reckon}, args...)...).CombinedOutput() // tried again
		if strings.Contains(string(text), want) {
			return
		}
	}
	t.Fatalf("%s never printed %q:\n%s", strings.Join(args, " "), want, text)
}

// startAgent runs a node in the host until the test ends.
func (h *host) startAgent(t *testing.T, join, token string) {
	t.Helper()
	cmd := h.command(context.WithoutCancel(t.Context()), append([]string{binaries.reckon, "agent", "--join", join, "--token", token}, h.nodeFlags()...)...)
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		cmd.Wait() // the test ends it, by down
	}()
	t.Cleanup(func() { cmd.Process.Kill(); <-done })
}

// purgeAtEnd removes what reckon made in the host, however the test ended.
func (h *host) purgeAtEnd(t *testing.T) {
	t.Cleanup(func() { h.run(t, binaries.reckon, "down", "--purge", "--data", h.data) })
}

func mustRun(t *testing.T, args ...string) {
	t.Helper()
	if text, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, text)
	}
}
