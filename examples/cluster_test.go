package examples_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/reckon-project/reckon/bus/client"
	"github.com/reckon-project/reckon/bus/server"
	"github.com/reckon-project/reckon/bus/trust"
	"github.com/reckon-project/reckon/gateway"
	"github.com/reckon-project/reckon/projections"
)

// cluster is a control plane without controllers on an embedded NATS server,
// which can be stopped, and whose network can be cut.
type cluster struct {
	t         *testing.T
	dir       string
	authority *trust.Authority
	wire      *wire
	admin     *dynamic.DynamicClient
	stop      func()
}

func startCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{t: t, dir: t.TempDir(), wire: newWire(t)}
	var err error
	if c.authority, err = trust.Open(filepath.Join(c.dir, "pki")); err != nil {
		t.Fatal(err)
	}
	c.start()
	t.Cleanup(func() { c.stop() })
	return c
}

func (c *cluster) start() {
	c.t.Helper()
	s, err := server.Start(server.Options{
		Dir: c.dir, Listen: "127.0.0.1:0", TLS: c.authority.Listen(), Durability: server.Fast,
		Authenticate: func(l server.Login) (string, error) {
			if l.Password != "token of "+l.User {
				return "", errors.New("wrong token")
			}
			return l.User, nil
		},
	})
	if err != nil {
		c.t.Fatal(err)
	}
	b, err := s.Connect("component:plane")
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	folding, stopFolding := context.WithCancel(context.Background())
	log, volatile := projections.New(b.Log()), projections.New(b.Volatile(), projections.Volatile())
	var folds, runs errgroup.Group
	folds.Go(func() error { return log.Run(folding) })
	folds.Go(func() error { return volatile.Run(folding) })
	g, err := gateway.New(ctx, gateway.Options{Bus: b, Log: log, Volatile: volatile, Dir: c.dir, Listen: "127.0.0.1:0"})
	if err != nil {
		c.t.Fatal(err)
	}
	runs.Go(func() error { return g.Run(ctx) })
	runs.Go(func() error { return g.ServeBus(ctx) })
	c.stop = sync.OnceFunc(func() {
		cancel()
		if err := runs.Wait(); err != nil {
			c.t.Errorf("gateway: %v", err)
		}
		stopFolding()
		folds.Wait() //nolint:errcheck // it was told to end
		b.Close()
		s.Shutdown()
	})
	<-g.Ready()
	_, address, _ := strings.Cut(s.ClientURL(), "://")
	c.wire.to(address)
	config, err := clientcmd.BuildConfigFromFlags("", g.Kubeconfig())
	if err != nil {
		c.t.Fatal(err)
	}
	config.QPS = -1
	c.admin = dynamic.NewForConfigOrDie(rest.CopyConfig(config))
}

// restart stops the control plane and starts it from its log.
func (c *cluster) restart() {
	c.t.Helper()
	c.stop()
	c.start()
}

// credentials are a file for a service account, as reckon controller create writes it.
func (c *cluster) credentials(name string) string {
	c.t.Helper()
	c.apply([]byte(`{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"` + name + `","namespace":"default"}}`))
	identity := client.Identity("default", name)
	data, err := json.Marshal(client.Credentials{
		URL: "tls://" + c.wire.address, Identity: identity, Token: "token of " + identity, Authority: string(c.authority.PEM()),
	})
	if err != nil {
		c.t.Fatal(err)
	}
	path := filepath.Join(c.t.TempDir(), name+".json")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		c.t.Fatal(err)
	}
	return path
}

var resources = map[string]schema.GroupVersionResource{
	"CustomResourceDefinition": {Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"},
	"ClusterRole":              {Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "clusterroles"},
	"ClusterRoleBinding":       {Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "clusterrolebindings"},
	"ServiceAccount":           {Version: "v1", Resource: "serviceaccounts"},
	"ConfigMap":                {Version: "v1", Resource: "configmaps"},
	"Service":                  {Version: "v1", Resource: "services"},
	"Deployment":               {Group: "apps", Version: "v1", Resource: "deployments"},
	"Lease":                    {Group: "coordination.k8s.io", Version: "v1", Resource: "leases"},
	"Website":                  {Group: "examples.reckon.dev", Version: "v1", Resource: "websites"},
	"Greeting":                 {Group: "examples.reckon.dev", Version: "v1", Resource: "greetings"},
	"Guestbook":                {Group: "examples.reckon.dev", Version: "v1", Resource: "guestbooks"},
}

func (c *cluster) objects(kind string) dynamic.ResourceInterface {
	c.t.Helper()
	r, ok := resources[kind]
	if !ok {
		c.t.Fatalf("the test doesn't know the kind %s", kind)
	}
	if strings.HasPrefix(kind, "Cluster") || kind == "CustomResourceDefinition" {
		return c.admin.Resource(r)
	}
	return c.admin.Resource(r).Namespace("default")
}

// apply creates the objects of a manifest; a definition's kind is served when
// it returns.
func (c *cluster) apply(manifest []byte) {
	c.t.Helper()
	in := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(manifest), 4096)
	for {
		var u unstructured.Unstructured
		err := in.Decode(&u)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			c.t.Fatal(err)
		}
		if _, err := c.objects(u.GetKind()).Create(c.t.Context(), &u, metav1.CreateOptions{}); err != nil {
			c.t.Fatal(err)
		}
		if u.GetKind() != "CustomResourceDefinition" {
			continue
		}
		kind, _, _ := unstructured.NestedString(u.Object, "spec", "names", "kind")
		c.until("the kind "+kind+" is served", func() bool {
			_, err := c.objects(kind).List(c.t.Context(), metav1.ListOptions{})
			return err == nil
		})
	}
}

func (c *cluster) applyFile(path string) {
	c.t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		c.t.Fatal(err)
	}
	c.apply(data)
}

// field reads a field of an object, "" if there is none.
func (c *cluster) field(kind, name string, path ...string) string {
	u, err := c.objects(kind).Get(c.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		return ""
	}
	v, _, _ := unstructured.NestedFieldNoCopy(u.Object, path...)
	if text, ok := v.(string); ok {
		return text
	}
	data, err := json.Marshal(v)
	if err != nil || v == nil {
		return ""
	}
	return string(data)
}

const patience = 2 * time.Minute

// until waits for something that has no event to wait for.
func (c *cluster) until(what string, f func() bool) {
	c.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(patience)
	for !f() {
		select {
		case <-timeout:
			c.t.Fatalf("waited in vain: %s", what)
		case <-tick.C:
		}
	}
}

// wire is a network between programs and the bus that can be cut.
type wire struct {
	address string
	mu      sync.Mutex
	far     string // "": cut
	conns   map[net.Conn]struct{}
}

func newWire(t *testing.T) *wire {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{address: l.Addr().String(), conns: map[net.Conn]struct{}{}}
	var carrying sync.WaitGroup
	carrying.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			carrying.Go(func() { w.carry(near) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		w.cut()
		carrying.Wait()
	})
	return w
}

func (w *wire) carry(near net.Conn) {
	defer near.Close()
	w.mu.Lock()
	address := w.far
	w.mu.Unlock()
	if address == "" {
		return
	}
	far, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer far.Close()
	w.mu.Lock()
	w.conns[near], w.conns[far] = struct{}{}, struct{}{}
	w.mu.Unlock()
	var back sync.WaitGroup
	back.Go(func() {
		io.Copy(near, far) //nolint:errcheck // it is cut
		near.Close()
	})
	io.Copy(far, near) //nolint:errcheck // it is cut
	far.Close()
	back.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.conns, near)
	delete(w.conns, far)
}

func (w *wire) to(address string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.far = address
}

func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.far = ""
	for c := range w.conns {
		c.Close()
	}
}

// program is a process of an example.
type program struct {
	t    *testing.T
	cmd  *exec.Cmd
	done chan error

	mu  sync.Mutex
	out bytes.Buffer
}

func (p *program) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.Write(b)
}

func (p *program) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

// run starts a program; it is killed when the test ends.
func run(t *testing.T, path string, args ...string) *program {
	t.Helper()
	p := &program{t: t, cmd: exec.Command(path, args...), done: make(chan error, 1)}
	p.cmd.Stdout, p.cmd.Stderr = p, p
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.done <- p.cmd.Wait() }()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("%s said:\n%s", filepath.Base(path), p.output())
		}
	})
	return p
}

// kill is kill -9.
func (p *program) kill() {
	p.cmd.Process.Kill() //nolint:errcheck // it may have ended
	p.wait()
}

// end asks it to end, and gives how it did.
func (p *program) end() error {
	p.cmd.Process.Signal(os.Interrupt) //nolint:errcheck // it may have ended
	return p.wait()
}

func (p *program) wait() error {
	err := <-p.done
	p.done <- err
	return err
}

// build builds the program in a folder.
func build(t *testing.T, folder string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), filepath.Base(folder))
	if out, err := exec.Command("go", "build", "-o", path, "./"+folder).CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", folder, err, out)
	}
	return path
}
