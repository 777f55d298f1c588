package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/reckon-project/reckon/bus/server"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// What Kubernetes itself does on a machine like those these benchmarks were
// written on (etcd 3.7.3, kube-apiserver, controller-manager and scheduler
// 1.37.1, kwok as nodes): two shared cores.
const (
	kubernetesDeployment = 29.2 // seconds, 2,000 replicas on 100 nodes until all are Ready
	kubernetesCreates    = 875  // pods a second over HTTPS by 64 clients
)

// cluster is a server and, once asked for, hollow nodes, in processes of their own.
type cluster struct {
	binary, dir string
	listen      []string
	profiles    string // the folder for profiles; "": none are taken
	server      *process
	hollow      *process
	client      *kubernetes.Clientset
}

func newCluster(binary, dir string) (*cluster, error) {
	c := &cluster{binary: binary, dir: dir}
	for range 3 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		c.listen = append(c.listen, l.Addr().String())
		l.Close()
	}
	return c, nil
}

func (c *cluster) data() string { return filepath.Join(c.dir, "data") }

// start starts the server and waits until its API answers.
func (c *cluster) start(ctx context.Context) (took time.Duration, err error) {
	begun := time.Now()
	args := []string{"server", "--data", c.data(), "--listen", c.listen[0], "--nats-listen", c.listen[1]}
	if c.profiles != "" {
		args = append(args, "--pprof", c.listen[2])
	}
	if c.server, err = launch(c.binary, c.dir, "server", args...); err != nil {
		return 0, err
	}
	c.server.profiler = c.listen[2]
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	if _, c.client, err = c.server.client(ctx, filepath.Join(c.data(), "admin.kubeconfig")); err != nil {
		return 0, err
	}
	return time.Since(begun), nil
}

func (c *cluster) startHollow(ctx context.Context, nodes int) (err error) {
	if c.hollow, err = launch(c.binary, c.dir, "hollow", "hollow", "--data", c.data(), "--nodes", strconv.Itoa(nodes)); err != nil {
		return err
	}
	return await(ctx, 2*time.Minute, fmt.Sprintf("%d hollow nodes ready", nodes), func() (bool, error) {
		list, err := c.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, err
		}
		ready := 0
		for _, n := range list.Items {
			for _, cond := range n.Status.Conditions {
				if cond.Type == corev1.NodeReady && cond.Status == corev1.ConditionTrue && len(n.Spec.Taints) == 0 {
					ready++
				}
			}
		}
		return ready >= nodes, nil
	})
}

func (c *cluster) stop() {
	if c.hollow != nil {
		c.hollow.stop(syscall.SIGTERM)
	}
	if c.server != nil {
		c.server.stop(syscall.SIGTERM)
	}
}

// await polls a condition: what it polls is the API, as a user would.
func await(ctx context.Context, limit time.Duration, what string, f func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		ok, err := f()
		if ok {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: not within %s (last error: %v)", what, limit, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// benchCluster runs everything that needs a whole control plane.
func benchCluster(ctx context.Context, binary string) error {
	dir, err := os.MkdirTemp("", "reckon-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	c, err := newCluster(binary, dir)
	if err != nil {
		return err
	}
	defer c.stop()
	took, err := c.start(ctx)
	if err != nil {
		return err
	}
	row("first start of a server until /readyz", "%.2f s", took.Seconds())
	if err := idle(ctx, c.server, "server, idle, no node"); err != nil {
		return err
	}
	if err := benchCreates(ctx, c); err != nil {
		return err
	}
	if err := benchDeployment(ctx, c); err != nil {
		return err
	}
	return benchRestart(ctx, c)
}

// idle measures a process that nobody asks for anything.
func idle(ctx context.Context, p *process, what string) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(10 * time.Second):
	}
	cpu, begun := p.cpu(), time.Now()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(20 * time.Second):
	}
	row(what, "%.0f MB RSS (aim 350), %.1f %% of a core (aim 2)", float64(p.rss())/1e6, 100*(p.cpu()-cpu).Seconds()/time.Since(begun).Seconds())
	return nil
}

// benchCreates has 64 clients create pods over HTTPS with protobuf, for a
// scheduler that doesn't exist.
func benchCreates(ctx context.Context, c *cluster) error {
	if err := defaultServiceAccount(ctx, c.client); err != nil {
		return err
	}
	cpu, made := c.server.cpu(), atomic.Uint64{}
	perSecond, err := throughput(ctx, 64, 10*time.Second, func(ctx context.Context, n uint64) error {
		pod := benchPod()
		pod.Name, pod.Spec.SchedulerName = fmt.Sprintf("create-%d", n), "nobody"
		_, err := c.client.CoreV1().Pods("default").Create(ctx, pod, metav1.CreateOptions{})
		made.Add(1)
		return err
	})
	if err != nil {
		return err
	}
	row("pods created over HTTPS by 64 clients", "%.0f/s (aim 1,500), %.1f × Kubernetes (%d/s), server CPU %.0f µs a pod",
		perSecond, perSecond/kubernetesCreates, kubernetesCreates, float64((c.server.cpu()-cpu).Microseconds())/float64(made.Load()))
	return await(ctx, 3*time.Minute, "the created pods deleted", func() (bool, error) { // the API bounds one request to 34 s
		err := c.client.CoreV1().Pods("default").DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{})
		return err == nil, err
	})
}

// benchDeployment measures a Deployment of 2,000 replicas on 100 hollow nodes.
func benchDeployment(ctx context.Context, c *cluster) error {
	const replicas, nodes = 2000, 100
	if err := c.startHollow(ctx, nodes); err != nil {
		return err
	}
	server, hollow := c.server.cpu(), c.hollow.cpu()
	begun := time.Now()
	if err := deploy(ctx, c.client, "load", replicas); err != nil {
		return err
	}
	err := await(ctx, 5*time.Minute, "all replicas ready", func() (bool, error) {
		d, err := c.client.AppsV1().Deployments("default").Get(ctx, "load", metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		return d.Status.ReadyReplicas == replicas, nil
	})
	if err != nil {
		return err
	}
	took := time.Since(begun)
	row("Deployment of 2,000 replicas on 100 hollow nodes, created → all Ready", "%.2f s (aim 3), %.0f pods/s, %.1f × Kubernetes (%.1f s)",
		took.Seconds(), replicas/took.Seconds(), kubernetesDeployment/took.Seconds(), kubernetesDeployment)
	row("  CPU for it", "control plane %.0f µs a pod (aim 1,500), hollow nodes %.0f µs a pod",
		float64((c.server.cpu()-server).Microseconds())/replicas, float64((c.hollow.cpu()-hollow).Microseconds())/replicas)
	row("  memory after it", "control plane %.0f MB, 100 hollow nodes %.0f MB", float64(c.server.rss())/1e6, float64(c.hollow.rss())/1e6)
	return nil
}

// benchRestart fills the cluster up to 10,000 pods and starts it again, from a
// checkpoint and from zero.
func benchRestart(ctx context.Context, c *cluster) error {
	if err := deploy(ctx, c.client, "fill", 8000); err != nil {
		return err
	}
	err := await(ctx, 10*time.Minute, "10,000 pods", func() (bool, error) {
		d, err := c.client.AppsV1().Deployments("default").Get(ctx, "fill", metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		return d.Status.Replicas == 8000, nil
	})
	if err != nil {
		return err
	}
	c.stop()
	c.hollow = nil
	took, err := c.start(ctx)
	if err != nil {
		return err
	}
	row("start with 10,000 pods from a checkpoint until /readyz", "%.2f s (aim 2), server CPU %.2f s", took.Seconds(), c.server.cpu().Seconds())
	c.stop()
	if err := c.deleteCheckpoints(ctx); err != nil {
		return err
	}
	if took, err = c.start(ctx); err != nil {
		return err
	}
	row("start with 10,000 pods from zero, all checkpoints deleted", "%.2f s, server CPU %.2f s", took.Seconds(), c.server.cpu().Seconds())
	return nil
}

// deleteCheckpoints removes what the stopped server would begin with. The bus
// keeps them, so it is started for that.
func (c *cluster) deleteCheckpoints(ctx context.Context) error {
	s, err := server.Start(server.Options{Dir: c.data(), Name: "reckon"})
	if err != nil {
		return err
	}
	defer s.Shutdown()
	b, err := s.Connect("component:bench")
	if err != nil {
		return err
	}
	defer b.Close()
	names, err := b.Blobs().List(ctx, "checkpoint/")
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := b.Blobs().Delete(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

func defaultServiceAccount(ctx context.Context, client *kubernetes.Clientset) error {
	return await(ctx, time.Minute, "service account default", func() (bool, error) {
		_, err := client.CoreV1().ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{})
		return err == nil, err
	})
}

func deploy(ctx context.Context, client *kubernetes.Clientset, name string, replicas int32) error {
	if err := defaultServiceAccount(ctx, client); err != nil {
		return err
	}
	pod := benchPod()
	pod.Labels = map[string]string{"app": name}
	d := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: pod.Labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: pod.Labels}, Spec: pod.Spec},
		},
	}
	_, err := client.AppsV1().Deployments("default").Create(ctx, d, metav1.CreateOptions{})
	return err
}

func benchPod() *corev1.Pod {
	return &corev1.Pod{
		Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Name: "main", Image: "example.reckon.dev/pause:1",
			Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{
				corev1.ResourceCPU: resource.MustParse("10m"), corev1.ResourceMemory: resource.MustParse("16Mi"),
			}},
		}}},
	}
}
