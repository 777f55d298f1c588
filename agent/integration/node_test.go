package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/reckon-project/reckon/agent"
	"github.com/reckon-project/reckon/agent/containerd"
	"github.com/reckon-project/reckon/agent/image"
	"github.com/reckon-project/reckon/bus/memory"
	"github.com/reckon-project/reckon/events"
)

const busybox = "reckon.dev/busybox:1"

const network = `{"cniVersion": "0.4.0", "name": "test", "plugins": [
 {"type": "bridge", "bridge": "reckon0", "isGateway": true, "hairpinMode": true,
  "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.99.0.0/24"}]], "dataDir": %q}},
 {"type": "portmap", "capabilities": {"portMappings": true}}]}`

// node is an agent on a private containerd, with a bus in memory.
type node struct {
	t       testing.TB
	bus     *memory.Bus
	options agent.Options
	stop    func()
	pos     uint64
}

func newNode(t testing.TB) *node {
	t.Helper()
	dir, err := os.MkdirTemp("", "rk")
	if err != nil {
		t.Fatal(err)
	}
	level := slog.LevelWarn
	if testing.Verbose() {
		level = slog.LevelDebug
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	n := &node{t: t, bus: memory.New(time.Now), options: agent.Options{
		Node: "n1", Dir: dir, RuntimeName: *runtimeName, Logger: []string{program, loggerCommand}, API: fakeAPI{}, NodeIPs: []string{"127.0.0.1"},
		Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level})),
	}}
	n.options.Bus = n.bus
	sockets := staleSockets()
	t.Cleanup(func() {
		n.halt()
		n.purge()
		for _, trace := range n.traces(sockets) {
			t.Errorf("left behind: %s", trace)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	conf := filepath.Join(dir, "cni", "net.d")
	if err := os.MkdirAll(conf, 0o755); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(network, filepath.Join(dir, "cni", "ipam"))
	if err := os.WriteFile(filepath.Join(conf, "10-test.conflist"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	client, err := agent.Layout(n.options).Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	img, err := image.Build(image.Spec{Path: "/bin/busybox", Arch: "amd64", Links: links("sh", "sleep", "cat", "echo", "httpd", "true", "false", "env", "id", "hostname", "wget", "tail", "nc", "touch", "rm", "ls", "test", "printf", "date", "kill")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := image.Load(t.Context(), client.Daemon(), busybox, img); err != nil {
		t.Fatal(err)
	}
	if err := image.EnsurePause(t.Context(), client, containerd.PauseImage); err != nil {
		t.Fatal(err)
	}
	if err := image.AwaitCRI(t.Context(), client, busybox); err != nil {
		t.Fatal(err)
	}
	n.start()
	return n
}

func links(names ...string) map[string]string {
	out := map[string]string{}
	for _, name := range names {
		out["/bin/"+name] = "/busybox"
	}
	return out
}

// newBus gives the node an empty bus, as if the cluster's memory had gone.
func (n *node) newBus() {
	n.bus = memory.New(time.Now)
	n.options.Bus = n.bus
}

// start runs the agent; halt ends it, as a crash would: containers go on.
func (n *node) start() {
	ctx, cancel := context.WithCancel(context.Background())
	a, err := agent.New(n.options)
	if err != nil {
		n.t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := a.Run(ctx); err != nil && ctx.Err() == nil {
			n.t.Errorf("the agent ended: %v", err)
		}
	})
	n.stop = func() { cancel(); wg.Wait() }
}

func (n *node) halt() {
	if n.stop != nil {
		n.stop()
		n.stop = nil
	}
}

// put publishes an object on the node's feed.
func (n *node) put(resource string, o metav1.Object) {
	n.t.Helper()
	data, err := json.Marshal(o)
	if err != nil {
		n.t.Fatal(err)
	}
	n.send("feed.n1."+resource+"."+events.EncodeToken(o.GetNamespace())+"."+events.EncodeToken(o.GetName()), data)
}

func (n *node) send(subject string, data []byte) {
	n.t.Helper()
	n.pos++
	header := events.Header{"reckon-position": {fmt.Sprint(n.pos)}, "reckon-epoch": {"1"}}
	if err := n.bus.Feed().Put(n.t.Context(), subject, header, data); err != nil {
		n.t.Fatal(err)
	}
}

// run puts a pod on the feed.
func (n *node) run(p *v1.Pod) *v1.Pod {
	n.put("pods", p)
	return p
}

// remove sends a pod's tombstone.
func (n *node) remove(p *v1.Pod) { n.send("feed.n1.pods."+p.Namespace+"."+p.Name, nil) }

// await folds the pod's facts until its status is as wanted, and gives it with
// the facts so far.
func (n *node) await(p *v1.Pod, what string, want func(v1.PodStatus) bool) (v1.PodStatus, []*events.Event) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), 30*time.Second)
	defer cancel()
	var last v1.PodStatus
	var facts []*events.Event
	for batch, err := range n.bus.Log().Follow(ctx, 1, "fact.n1.core.pods."+p.Namespace+"."+p.Name) {
		if err != nil {
			break
		}
		for _, e := range batch {
			if e.UID != string(p.UID) {
				continue
			}
			facts = append(facts, e)
			var data struct{ Status v1.PodStatus }
			if err := json.Unmarshal(e.Data, &data); err != nil {
				n.t.Fatal(err)
			}
			last = data.Status
		}
		if want(last) {
			return last, facts
		}
	}
	text, _ := json.MarshalIndent(last, "", " ")
	n.t.Fatalf("pod %s is not %s; its last status: %s", p.Name, what, text)
	return last, facts
}

func isReady(s v1.PodStatus) bool {
	for _, c := range s.Conditions {
		if c.Type == v1.PodReady {
			return c.Status == v1.ConditionTrue
		}
	}
	return false
}

func phaseIs(p v1.PodPhase) func(v1.PodStatus) bool {
	return func(s v1.PodStatus) bool { return s.Phase == p }
}

// newPod makes a pod of one busybox container, as the API server would default it.
func newPod(name string, command ...string) *v1.Pod {
	grace, links := int64(1), true
	return &v1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID(uuid.NewString()), Generation: 1},
		Spec: v1.PodSpec{
			NodeName: "n1", RestartPolicy: v1.RestartPolicyAlways, DNSPolicy: v1.DNSClusterFirst,
			TerminationGracePeriodSeconds: &grace, EnableServiceLinks: &links,
			Containers: []v1.Container{{
				Name: "main", Image: busybox, Command: command, ImagePullPolicy: v1.PullIfNotPresent,
				TerminationMessagePath: "/dev/termination-log", TerminationMessagePolicy: v1.TerminationMessageReadFile,
			}},
		},
		Status: v1.PodStatus{Phase: v1.PodPending, QOSClass: v1.PodQOSBestEffort},
	}
}

// fakeAPI takes what an agent asks of the API.
type fakeAPI struct{}

func (fakeAPI) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	w.Header().Set("Content-Type", "application/json")
	switch {
	case strings.HasSuffix(r.URL.Path, "/token"):
		expires := time.Now().Add(time.Hour).Format(time.RFC3339)
		fmt.Fprintf(w, `{"status":{"token":"token-of-%s","expirationTimestamp":%q}}`, filepath.Base(filepath.Dir(r.URL.Path)), expires)
	case strings.Contains(r.URL.Path, "/runtimeclasses/"): // of the name of the handler
		fmt.Fprintf(w, `{"handler":%q}`, filepath.Base(r.URL.Path))
	default:
		fmt.Fprint(w, `{"metadata":{"name":"n1","uid":"node-uid"}}`)
	}
	return w.Result(), nil
}
