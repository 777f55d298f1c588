package e2e

import (
	"context"
	"fmt"
	"maps"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
)

// TestThreeServers runs three servers that replicate everything, one of which
// holds all leases, has nodes connected and is then killed.
func TestThreeServers(t *testing.T) {
	c := newCluster(t)
	c.startAll(t)

	t.Run("what one acknowledged the others show at once", c.readsAcross)
	t.Run("a watch on one sees what others write", c.watchesAcross)
	t.Run("secrets and tokens of one work on the others", c.secretsAcross)

	c.startNodes(t)
	c.deploy(t, 10)
	leader := c.leader(t, "scheduler")
	t.Logf("server %s leads the scheduler", c.servers[leader].name)
	acknowledged := c.killUnderLoad(t, leader)
	left := c.clients[(leader+1)%3]
	c.scale(t, left, 20)

	c.clients[leader] = c.servers[leader].start(t)
	t.Run("nothing acknowledged is lost, and all servers show the same", func(t *testing.T) {
		c.showTheSame(t, acknowledged)
	})
	c.scale(t, c.clients[leader], 25)
}

// cluster is three servers on loopback addresses of their own.
type cluster struct {
	servers [3]*server
	clients [3]*kubernetes.Clientset
	peers   string
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	api, bus, routes := freePort(t), freePort(t), freePort(t)
	c := &cluster{}
	var peers []string
	for i := range c.servers {
		host := fmt.Sprintf("127.0.1.%d", i+1)
		s := &server{name: fmt.Sprintf("s%d", i+1), data: filepath.Join(t.TempDir(), "d")}
		s.listen, s.nats = net.JoinHostPort(host, api), net.JoinHostPort(host, bus)
		route := net.JoinHostPort(host, routes)
		s.args = []string{"--server-name", s.name, "--cluster-listen", route, "--advertise-address", fmt.Sprintf("10.254.0.%d", i+1)}
		c.servers[i] = s
		peers = append(peers, route)
	}
	c.peers = strings.Join(peers, ",")
	return c
}

// freePort gives a port that is free on all addresses.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// startAll starts the first server, which waits for a majority, and lets the
// others join it with its token.
func (c *cluster) startAll(t *testing.T) {
	t.Helper()
	first := c.servers[0]
	first.args = append(first.args, "--cluster", c.peers)
	first.launch(t)
	token := eventuallyOutput(t, "token", "--server", "--data", first.data)
	for _, s := range c.servers[1:] {
		s.args = append(s.args, "--join", first.nats, "--token", token)
		s.launch(t)
	}
	for i, s := range c.servers {
		c.clients[i] = s.await(t)
	}
	wrong := exec.Command(binaries.reckon, "server", "--data", filepath.Join(t.TempDir(), "d"), "--server-name", "s4",
		"--cluster-listen", "127.0.1.4:1", "--join", first.nats, "--token", token[:len(token)-4]+"0000")
	if text, err := wrong.CombinedOutput(); err == nil {
		t.Errorf("a server with a wrong token was let in:\n%s", text)
	}
}

// eventuallyOutput runs reckon until it succeeds.
func eventuallyOutput(t *testing.T, args ...string) string {
	t.Helper()
	var text []byte
	var err error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if text, err = exec.Command(binaries.reckon, args...).Output(); err == nil {
			return strings.TrimSpace(string(text))
		}
	}
	t.Fatalf("reckon %s: %v\n%s", strings.Join(args, " "), err, text)
	return ""
}

func (c *cluster) readsAcross(t *testing.T) {
	for i := range 30 {
		writer, reader := c.clients[i%3], c.clients[(i+1)%3]
		made, err := writer.CoreV1().ConfigMaps("default").Create(t.Context(), configMap(fmt.Sprintf("across-%d", i)), metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := reader.CoreV1().ConfigMaps("default").Get(t.Context(), made.Name, metav1.GetOptions{})
		if err != nil {
			t.Fatalf("the next server doesn't show it: %v", err)
		}
		if got.UID != made.UID || got.ResourceVersion != made.ResourceVersion {
			t.Fatalf("the next server shows another one: %v, want %v", got.ObjectMeta, made.ObjectMeta)
		}
		got.Data = map[string]string{"by": "reader"}
		if _, err := reader.CoreV1().ConfigMaps("default").Update(t.Context(), got, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, err := writer.CoreV1().ConfigMaps("default").Update(t.Context(), made, metav1.UpdateOptions{}); !apierrors.IsConflict(err) {
			t.Fatalf("an update of an old version was answered %v, want a conflict", err)
		}
	}
}

func (c *cluster) watchesAcross(t *testing.T) {
	w, err := c.clients[1].CoreV1().ConfigMaps("default").Watch(t.Context(), metav1.ListOptions{LabelSelector: "watched=yes"})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	for i := range 10 {
		m := configMap(fmt.Sprintf("watched-%d", i))
		m.Labels = map[string]string{"watched": "yes"}
		if _, err := c.clients[i%3].CoreV1().ConfigMaps("default").Create(t.Context(), m, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		select {
		case e := <-w.ResultChan():
			if got, ok := e.Object.(*corev1.ConfigMap); !ok || e.Type != watch.Added || got.Name != m.Name {
				t.Fatalf("the watch saw %s of %v, want %s", e.Type, e.Object, m.Name)
			}
		case <-time.After(patience):
			t.Fatalf("the watch never saw %s", m.Name)
		}
	}
}

func (c *cluster) secretsAcross(t *testing.T) {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "shared"}, StringData: map[string]string{"password": "hunter2"}}
	for i := range 3 {
		if _, err := c.clients[i].CoreV1().Secrets("default").Create(t.Context(), secret, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		for _, client := range c.clients {
			got, err := client.CoreV1().Secrets("default").Get(t.Context(), secret.Name, metav1.GetOptions{})
			if err != nil || string(got.Data["password"]) != "hunter2" {
				t.Fatalf("the secret of server %d reads %q, %v", i+1, got.Data["password"], err)
			}
		}
		if err := c.clients[(i+1)%3].CoreV1().Secrets("default").Delete(t.Context(), secret.Name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	text, err := exec.Command(binaries.reckon, "kubectl", "--kubeconfig", c.servers[0].kubeconfig(), "create", "token", "default").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range c.servers {
		config := s.config(t)
		config.BearerToken, config.CertData, config.KeyData = strings.TrimSpace(string(text)), nil, nil
		client, err := kubernetes.NewForConfig(config)
		if err != nil {
			t.Fatal(err)
		}
		_, err = client.CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{})
		if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "system:serviceaccount:default:default") {
			t.Errorf("server %s doesn't know the token's service account: %v", s.name, err)
		}
	}
}

func configMap(name string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

// startNodes connects pretended nodes to the first server; they go on with
// another when it is killed.
func (c *cluster) startNodes(t *testing.T) {
	t.Helper()
	cmd := exec.Command(binaries.reckon, "hollow", "--data", c.servers[0].data, "--nodes", "3")
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
}

func (c *cluster) deploy(t *testing.T, replicas int32) {
	t.Helper()
	labels := map[string]string{"app": "web"}
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: appsv1.DeploymentSpec{
		Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{
			Containers: []corev1.Container{{Name: "web", Image: "example.com/web:1"}},
		}},
	}}
	if _, err := c.clients[0].AppsV1().Deployments("default").Create(t.Context(), d, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	c.awaitReplicas(t, c.clients[1], replicas)
}

func (c *cluster) scale(t *testing.T, client *kubernetes.Clientset, replicas int32) {
	t.Helper()
	patch := fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas)
	if _, err := client.AppsV1().Deployments("default").Patch(t.Context(), "web", "application/merge-patch+json", patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	c.awaitReplicas(t, client, replicas)
}

// awaitReplicas waits until a deployment's pods are ready, and sees that there
// are exactly as many as were asked for.
func (c *cluster) awaitReplicas(t *testing.T, client *kubernetes.Clientset, replicas int32) {
	t.Helper()
	var d *appsv1.Deployment
	var err error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if d, err = client.AppsV1().Deployments("default").Get(t.Context(), "web", metav1.GetOptions{}); err != nil {
			t.Fatal(err)
		}
		if d.Status.ReadyReplicas == replicas && d.Status.ObservedGeneration == d.Generation {
			break
		}
	}
	if d.Status.ReadyReplicas != replicas {
		t.Fatalf("the deployment never got %d ready replicas: %+v", replicas, d.Status)
	}
	pods, err := client.CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{LabelSelector: "app=web"})
	if err != nil {
		t.Fatal(err)
	}
	if len(pods.Items) != int(replicas) {
		t.Fatalf("there are %d pods, want %d", len(pods.Items), replicas)
	}
}

// leader finds the server that leads a component: the holder in the newest
// elected event begins with its name.
func (c *cluster) leader(t *testing.T, component string) int {
	t.Helper()
	text, err := exec.Command(binaries.reckon, "events", "--data", c.servers[0].data, "--type", "elected", "-o", "json").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	found, elections := -1, 0
	for _, line := range lines {
		if !strings.Contains(line, `"`+component+`"`) && !strings.Contains(line, "/"+component+`"`) {
			continue
		}
		elections++
		for i, s := range c.servers {
			if strings.Contains(line, s.name+"/") {
				found = i
			}
		}
	}
	if elections != 1 || found < 0 {
		t.Fatalf("%d elections of the %s, want one by one of the servers:\n%s", elections, component, text)
	}
	return found
}

// killUnderLoad kills a server while clients create objects on all of them, and
// returns what was acknowledged, name → uid.
func (c *cluster) killUnderLoad(t *testing.T, victim int) map[string]string {
	t.Helper()
	const before, after = 50, 50 // creates on each of the servers that stay
	acknowledged := map[string]string{}
	var mu sync.Mutex
	var writers sync.WaitGroup
	killed, begun := make(chan struct{}), make(chan struct{}, 3*before)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var slowest time.Duration
	for i, client := range c.clients {
		writers.Go(func() {
			left := after
			for n := 0; left > 0 && ctx.Err() == nil; n++ {
				select {
				case <-killed:
					if i == victim {
						return
					}
					left--
				default:
				}
				name := fmt.Sprintf("load-%s-%d", c.servers[i].name, n)
				start := time.Now()
				made, err := client.CoreV1().ConfigMaps("default").Create(ctx, configMap(name), metav1.CreateOptions{})
				mu.Lock()
				if err == nil {
					acknowledged[name] = string(made.UID)
					slowest = max(slowest, time.Since(start))
				} else if i != victim {
					t.Logf("%s was answered %v after %s", name, err, time.Since(start).Round(time.Millisecond))
				}
				mu.Unlock()
				select {
				case begun <- struct{}{}:
				default:
				}
			}
		})
	}
	for range 3 * before {
		<-begun
	}
	c.servers[victim].kill(t)
	close(killed)
	writers.Wait()
	if ctx.Err() != nil {
		t.Fatal("the servers that were left stopped acknowledging")
	}
	t.Logf("%d creates acknowledged; the longest, over the loss of a server, took %s", len(acknowledged), slowest.Round(time.Millisecond))
	return acknowledged
}

func (c *cluster) showTheSame(t *testing.T, acknowledged map[string]string) {
	var first []string
	for i, client := range c.clients {
		list, err := client.CoreV1().ConfigMaps("default").List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		have := map[string]string{}
		for _, o := range list.Items {
			have[o.Name] = string(o.UID)
		}
		for name, uid := range acknowledged {
			if have[name] != uid {
				t.Errorf("server %s shows %q for the acknowledged %s", c.servers[i].name, have[name], name)
			}
		}
		names := slices.Sorted(maps.Keys(have))
		if first == nil {
			first = names
		} else if !slices.Equal(first, names) {
			t.Errorf("server %s shows %d objects, the first one %d", c.servers[i].name, len(names), len(first))
		}
	}
}
