package statefulset_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"pgregory.net/rapid"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/events"
)

// plan is what is done to a set.
type plan struct {
	parallel         bool
	replicas, most   int32
	start, minReady  int32
	steps            []step
	fate, disruption uint64 // seeds: how pods fare, and which are hurt
}

type step struct {
	kind   int // what changes
	number int32
	wait   time.Duration
}

// The kinds of steps.
const (
	newImage = iota
	newSize
	newPartition
	killed
	deleted
	kinds
)

func drawPlan(t *rapid.T) plan {
	p := plan{
		parallel: rapid.Bool().Draw(t, "parallel"), replicas: rapid.Int32Range(0, 6).Draw(t, "replicas"), most: rapid.Int32Range(1, 3).Draw(t, "maxUnavailable"),
		start: rapid.SampledFrom([]int32{0, 0, 3}).Draw(t, "start"), minReady: rapid.SampledFrom([]int32{0, 0, 5}).Draw(t, "minReadySeconds"),
		fate: rapid.Uint64().Draw(t, "fate"), disruption: rapid.Uint64().Draw(t, "disruption"),
	}
	p.steps = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
		return step{
			kind: rapid.IntRange(0, kinds-1).Draw(t, "kind"), number: rapid.Int32Range(0, 6).Draw(t, "number"),
			wait: time.Duration(rapid.IntRange(0, 20_000).Draw(t, "ms")) * time.Millisecond,
		}
	}), 1, 8).Draw(t, "steps")
	return p
}

// TestAlways carries out random plans over pods that fare randomly, and checks
// after every event of the log what must always hold.
func TestAlways(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := drawPlan(rt)
		var problems []string
		synctest.Test(t, func(t *testing.T) { problems = carryOut(t, p) })
		if len(problems) > 0 {
			rt.Fatal(strings.Join(problems, "\n"))
		}
	})
}

func carryOut(t *testing.T, p plan) []string {
	w := begin(t)
	defer w.Stop()
	fate, disruption := rand.New(rand.NewPCG(p.fate, 1)), rand.New(rand.NewPCG(p.disruption, 2))
	w.Nodes.Become(func(*corev1.Pod) controllertest.State {
		return []controllertest.State{controllertest.Ready, controllertest.Ready, controllertest.Running, controllertest.Failed}[fate.IntN(4)]
	})
	w.Create(controllers.StatefulSet, newSet(p.replicas, func(s *appsv1.StatefulSetSpec) {
		if p.parallel {
			parallel(s)
		}
		most := intstr.FromInt32(p.most)
		s.UpdateStrategy.RollingUpdate = &appsv1.RollingUpdateStatefulSetStrategy{MaxUnavailable: &most}
		s.Ordinals, s.MinReadySeconds = &appsv1.StatefulSetOrdinals{Start: p.start}, p.minReady
	}))
	w.Advance(time.Minute)
	for i, step := range p.steps {
		switch step.kind {
		case newImage:
			setImage(w, fmt.Sprintf("web:%d", i+2))
		case newSize:
			w.Patch(web, `{"spec":{"replicas":%d}}`, step.number)
		case newPartition:
			w.Patch(web, `{"spec":{"updateStrategy":{"rollingUpdate":{"partition":%d}}}}`, step.number)
		case killed:
			hurt(t, w, disruption, controllertest.Failed)
		case deleted:
			if pods := running(w); len(pods) > 0 {
				w.Delete(pods[disruption.IntN(len(pods))].Key, "")
			}
		}
		w.Advance(step.wait)
		hurt(t, w, disruption, controllertest.Ready)
		w.Settle()
	}
	// In the end all becomes well, but for what only a person can end: a pod that
	// isn't ready, of an earlier template.
	w.Nodes.Become(nil)
	for range 30 {
		for _, o := range running(w) {
			if p := o.Value.(*corev1.Pod); !isReady(p) {
				if err := w.Nodes.Report(t.Context(), p, controllertest.Ready); err != nil {
					t.Fatal(err)
				}
			}
		}
		w.Advance(time.Minute)
	}
	problems := check(t, w)
	set := controllertest.Get[*appsv1.StatefulSet](w, web)
	if n := *set.Spec.Replicas; set.Status.Replicas != n || set.Status.AvailableReplicas != n {
		problems = append(problems, fmt.Sprintf("in the end the status is %+v", set.Status))
	}
	if kept := min(*set.Spec.UpdateStrategy.RollingUpdate.Partition, *set.Spec.Replicas); set.Status.UpdatedReplicas < *set.Spec.Replicas-kept {
		problems = append(problems, fmt.Sprintf("in the end only %d pods are updated, %d are kept", set.Status.UpdatedReplicas, kept))
	}
	return problems
}

// running are the pods that run and stay.
func running(w *controllertest.World) []*events.Object {
	var pods []*events.Object
	for o := range w.Snapshot().List("", "pods", "") {
		if p := o.Value.(*corev1.Pod); p.Status.Phase == corev1.PodRunning && p.DeletionTimestamp == nil {
			pods = append(pods, o)
		}
	}
	return pods
}

// hurt makes a running pod report something else.
func hurt(t *testing.T, w *controllertest.World, r *rand.Rand, becomes controllertest.State) {
	pods := running(w)
	if len(pods) == 0 {
		return
	}
	p := pods[r.IntN(len(pods))].Value.(*corev1.Pod)
	if becomes == controllertest.Ready && isReady(p) {
		return
	}
	if err := w.Nodes.Report(t.Context(), p, becomes); err != nil {
		t.Fatal(err)
	}
}

func isReady(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// checker follows the log.
type checker struct {
	objects  map[events.Key]*events.Object
	problems []string
	// due are ordinals whose pods have to go at the same moment as one below them
	// that went; the deletions of one pass come in any order.
	due map[int]*events.Event
}

func check(t *testing.T, w *controllertest.World) []string {
	c := &checker{objects: map[events.Key]*events.Object{}, due: map[int]*events.Event{}}
	for e, err := range w.Bus.Log().Read(t.Context(), 1) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Type == events.Elected {
			continue
		}
		for ordinal, gone := range c.due {
			if e.Time.After(gone.Time) {
				c.problem(gone, "web-%d is to be replaced first", ordinal)
				delete(c.due, ordinal)
			}
		}
		if e.Key.Resource == "pods" && strings.HasSuffix(e.Actor, "statefulset-controller") {
			c.decision(e)
		}
		c.objects[e.Key], _ = events.Fold(c.objects[e.Key], e) // void is fine
	}
	return c.problems
}

// decision checks what the controller did to a pod against what there was before it.
func (c *checker) decision(e *events.Event) {
	set := c.objects[web].Value.(*appsv1.StatefulSet)
	start, replicas, partition := int(set.Spec.Ordinals.Start), int(*set.Spec.Replicas), int(0)
	if p := set.Spec.UpdateStrategy.RollingUpdate.Partition; p != nil {
		partition = int(*p)
	}
	var ordinal int
	if _, err := fmt.Sscanf(e.Key.Name, "web-%d", &ordinal); err != nil {
		c.problem(e, "is not a name of the set's")
	}
	index := ordinal - start
	ordered := set.Spec.PodManagementPolicy == appsv1.OrderedReadyPodManagement
	pod := c.pod(ordinal)
	switch e.Type {
	case events.Created:
		if pod != nil {
			c.problem(e, "there is one of this ordinal")
		}
		if index < 0 || index >= replicas {
			c.problem(e, "is not one of %d from %d on", replicas, start)
		}
		if below := c.unavailable(set, start, ordinal-1, e.Time); ordered && below > 0 {
			c.problem(e, "%d pods below it aren't available", below)
		}
	case events.Deleting, events.Deleted:
		if pod == nil || pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded {
			return
		}
		if index < 0 || index >= replicas {
			if above := c.alive(ordinal+1, 99); ordered && above > 0 && index >= 0 {
				c.problem(e, "%d pods above it are still there", above)
			}
			return
		}
		if index < partition {
			c.problem(e, "is below the partition %d", partition)
		}
		missing := c.unavailable(set, start, start+replicas-1, e.Time)
		if most := set.Spec.UpdateStrategy.RollingUpdate.MaxUnavailable.IntValue(); c.available(set, pod, e.Time) && missing >= most {
			c.problem(e, "%d are unavailable already, of at most %d", missing, most)
		}
		delete(c.due, ordinal)
		for i := ordinal + 1; ordered && i < start+replicas; i++ {
			if c.alike(pod, c.pod(i)) {
				c.due[i] = e
			}
		}
	}
}

func (c *checker) problem(e *events.Event, format string, args ...any) {
	c.problems = append(c.problems, fmt.Sprintf("%d: %s %s: %s", e.Sequence, e.Key.Name, e.Type, fmt.Sprintf(format, args...)))
}

func (c *checker) pod(ordinal int) *corev1.Pod {
	o := c.objects[pod(fmt.Sprintf("web-%d", ordinal))]
	if !o.Exists() {
		return nil
	}
	return o.Value.(*corev1.Pod)
}

func (c *checker) available(set *appsv1.StatefulSet, p *corev1.Pod, now time.Time) bool {
	if p == nil || p.DeletionTimestamp != nil {
		return false
	}
	for _, cond := range p.Status.Conditions {
		if cond.Type == corev1.PodReady && cond.Status == corev1.ConditionTrue {
			return !cond.LastTransitionTime.Add(time.Duration(set.Spec.MinReadySeconds) * time.Second).After(now)
		}
	}
	return false
}

// unavailable counts in a range of ordinals.
func (c *checker) unavailable(set *appsv1.StatefulSet, from, to int, now time.Time) (n int) {
	for i := from; i <= to; i++ {
		if !c.available(set, c.pod(i), now) {
			n++
		}
	}
	return n
}

func (c *checker) alive(from, to int) (n int) {
	for i := from; i <= to; i++ {
		if c.pod(i) != nil {
			n++
		}
	}
	return n
}

// alike reports a pod that stays though it is of the same revision as one that goes.
func (c *checker) alike(gone, p *corev1.Pod) bool {
	return p != nil && p.DeletionTimestamp == nil && p.Labels[appsv1.StatefulSetRevisionLabel] == gone.Labels[appsv1.StatefulSetRevisionLabel]
}
