package main

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"sync"
	"syscall"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/memory"
	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/builtin"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// benchResync has all built-in controllers look at 100,000 objects with which
// nothing is to be done, as they do when a server begins to lead.
func benchResync(ctx context.Context, profiles string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	b, deployments := memory.New(time.Now), 10_000
	if err := fillResync(ctx, b, deployments, 8); err != nil {
		return err
	}
	p := projections.New(b.Log())
	go p.Run(ctx) //nolint:errcheck // WaitFor below tells
	_, last, err := b.Log().Range(ctx)
	if err != nil {
		return err
	}
	if err := p.WaitFor(ctx, last); err != nil {
		return err
	}
	if _, _, _, err := lead(ctx, b, p); err != nil { // it writes the statuses
		return err
	}
	stop, err := profileSelf(profiles, "resync")
	if err != nil {
		return err
	}
	defer stop()
	var all []string
	for range 3 {
		cpu, reconciles, intents, err := lead(ctx, b, p)
		if err != nil {
			return err
		}
		all = append(all, fmt.Sprintf("%.2f s of CPU, %d reconciles, %d writes", cpu.Seconds(), reconciles, intents))
	}
	row("no-op resync of 100,000 objects by all controllers, three times (aim: 1 s)", "%s", strings.Join(all, "; "))
	return nil
}

// calm is how long nothing is reconciled once all is done, on a busy machine too.
const calm = 5 * time.Second

// lead runs the built-in controllers until they have nothing more to do.
func lead(ctx context.Context, b bus.Bus, p *projections.Projection) (cpu time.Duration, reconciles, intents int, err error) {
	ctx, cancel := context.WithCancel(ctx)
	var mu sync.Mutex
	begun := used()
	quiet := time.AfterFunc(3*calm, cancel)
	observe := func(o controllers.Observation) {
		mu.Lock()
		defer mu.Unlock()
		reconciles++
		intents += o.Intents
		if o.Err != nil && err == nil && !errors.Is(o.Err, context.Canceled) {
			err = fmt.Errorf("%s %s: %w", o.Controller, o.Key, o.Err)
		}
		if quiet.Stop() {
			cpu = used() - begun
			quiet.Reset(calm)
		}
	}
	options := controllers.Options{Bus: b, Projection: p, Holder: "bench", Observe: observe}
	runErr := controllers.Run(ctx, options, builtin.Controllers(builtin.Settings{Bus: b, NodeGrace: time.Hour})...)
	mu.Lock()
	defer mu.Unlock()
	return cpu, reconciles, intents, errors.Join(err, runErr)
}

// used is the processor time of this process so far.
func used() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// fillResync appends Deployments with a replica set and pods each, as they are once
// all is settled.
func fillResync(ctx context.Context, b bus.Bus, deployments, replicas int) error {
	f := filler{ctx: ctx, log: b.Log(), now: time.Now()}
	for i := range 100 {
		f.create(controllers.Node, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("node-%d", i)}})
	}
	n := int32(replicas)
	for i := range deployments {
		labels, namespace := map[string]string{"app": fmt.Sprintf("d-%d", i)}, fmt.Sprintf("ns-%d", i%100)
		hashed := map[string]string{"app": labels["app"], "pod-template-hash": "x"}
		sized := map[string]string{"deployment.kubernetes.io/revision": "1", "deployment.kubernetes.io/desired-replicas": "8", "deployment.kubernetes.io/max-replicas": "10"}
		template := func(labels map[string]string) corev1.PodTemplateSpec {
			return corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: benchPod().Spec}
		}
		d := &appsv1.Deployment{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: labels["app"], Annotations: map[string]string{"deployment.kubernetes.io/revision": "1"}},
			Spec: appsv1.DeploymentSpec{
				Replicas: &n, Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: template(labels),
				Strategy: appsv1.DeploymentStrategy{Type: appsv1.RollingUpdateDeploymentStrategyType},
			},
			Status: appsv1.DeploymentStatus{ObservedGeneration: 1},
		}
		f.create(controllers.Deployment, d)
		rs := &appsv1.ReplicaSet{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: namespace, Name: d.Name + "-x", Labels: hashed, Annotations: sized,
				OwnerReferences: []metav1.OwnerReference{controllers.Deployment.Ref(d)},
			},
			Spec:   appsv1.ReplicaSetSpec{Replicas: &n, Selector: &metav1.LabelSelector{MatchLabels: hashed}, Template: template(hashed)},
			Status: appsv1.ReplicaSetStatus{ObservedGeneration: 1},
		}
		f.create(controllers.ReplicaSet, rs)
		for k := range replicas {
			pod := benchPod()
			pod.ObjectMeta = metav1.ObjectMeta{
				Namespace: namespace, Name: fmt.Sprintf("%s-%d", rs.Name, k), Labels: hashed,
				OwnerReferences: []metav1.OwnerReference{controllers.ReplicaSet.Ref(rs)},
			}
			pod.Spec.NodeName = fmt.Sprintf("node-%d", (i+k)%100)
			pod.Status = corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{
				{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(f.now.Truncate(time.Second))},
			}}
			f.create(controllers.Pod, pod)
		}
	}
	return f.err
}

// filler appends objects as a gateway would.
type filler struct {
	ctx context.Context
	log bus.Log
	now time.Time
	n   int
	err error
}

func (f *filler) create(kind controllers.Kind, obj runtime.Object) {
	if f.err != nil {
		return
	}
	f.n++
	m := obj.(metav1.Object)
	m.SetUID(types.UID(fmt.Sprintf("%08x-0000-4000-8000-%012d", crc32.ChecksumIEEE([]byte(m.GetName())), f.n))) // they differ early, as real ones do
	m.SetGeneration(1)
	m.SetCreationTimestamp(metav1.NewTime(f.now.Truncate(time.Second)))
	data, err := events.EncodeObject(obj)
	if err != nil {
		f.err = err
		return
	}
	e := &events.Event{
		Prefix: events.PrefixDecision, Key: kind.Key(m.GetNamespace(), m.GetName()), ID: bus.NewID(), Source: "gateway", Type: events.Created,
		Time: f.now, Actor: "bench", ContentType: events.ContentObject, Data: data,
	}
	_, f.err = f.log.Append(f.ctx, bus.Entry{Event: e, Expect: bus.Expect(0)})
}

// profileSelf takes a profile of this process into a folder, "": none, until stop is called.
func profileSelf(folder, name string) (stop func(), err error) {
	if folder == "" {
		return func() {}, nil
	}
	f, err := os.Create(filepath.Join(folder, name+".cpu"))
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() {
		pprof.StopCPUProfile()
		f.Close() //nolint:errcheck // a profile that ends early tells by itself
	}, nil
}
