package deployment_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/events"
)

// TestLimitsHold rolls random templates out, some of which never work, over pods
// that become ready late or fail, and checks after every event of the log that
// there were never more replicas than maxSurge allows, nor fewer pods that serve
// than maxUnavailable does.
func TestLimitsHold(t *testing.T) {
	for seed := range controllertest.Seeds(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { rollRandomly(t, rand.New(rand.NewPCG(seed, 1)), rand.New(rand.NewPCG(seed, 2))) })
		})
	}
}

// rollRandomly rolls as r says, over pods that fare as fate says.
func rollRandomly(t *testing.T, r, fate *rand.Rand) {
	w := start(t)
	replicas, surge, unavailable := int32(1+r.IntN(12)), int32(r.IntN(4)), int32(r.IntN(4))
	if surge == 0 && unavailable == 0 {
		surge = 1
	}
	d := newDeployment(replicas, "web:0")
	maxSurge, maxUnavailable := intstr.FromInt32(surge), intstr.FromInt32(unavailable)
	d.Spec.Strategy = appsv1.DeploymentStrategy{
		Type:          appsv1.RollingUpdateDeploymentStrategyType,
		RollingUpdate: &appsv1.RollingUpdateDeployment{MaxSurge: &maxSurge, MaxUnavailable: &maxUnavailable},
	}
	w.Create(controllers.Deployment, d)
	w.Advance(time.Minute)
	from := w.Snapshot().Position()

	w.Nodes.Become(func(pod *corev1.Pod) controllertest.State {
		if pod.Spec.Containers[0].Image == "broken" {
			return controllertest.Running
		}
		return []controllertest.State{controllertest.Ready, controllertest.Ready, controllertest.Running, controllertest.Failed}[fate.IntN(4)]
	})
	for range 2 + r.IntN(6) {
		setImage(w, []string{"web:0", "web:1", "web:2", "broken"}[r.IntN(4)])
		w.Advance(time.Duration(r.IntN(2000)) * time.Millisecond)
		wakePods(t, w)
		w.Settle()
	}
	w.Nodes.Become(nil)
	setImage(w, "web:last")
	for range 20 {
		w.Advance(time.Minute)
		wakePods(t, w)
	}
	w.Settle()
	if s := controllertest.Get[*appsv1.Deployment](w, web).Status; s.UpdatedReplicas != replicas || s.AvailableReplicas != replicas || s.Replicas != replicas {
		t.Errorf("after all, the status is %+v", s)
	}
	w.Stop()
	checkLimits(t, w, from, replicas+surge, max(0, replicas-unavailable))
}

// wakePods lets pods that run become ready, but for those of the broken image.
func wakePods(t *testing.T, w *controllertest.World) {
	for o := range w.Snapshot().List("", "pods", "") {
		pod := o.Value.(*corev1.Pod)
		if pod.Status.Phase == corev1.PodRunning && !serves(pod) && pod.DeletionTimestamp == nil && pod.Spec.Containers[0].Image != "broken" {
			if err := w.Nodes.Report(context.Background(), pod, controllertest.Ready); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func serves(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
			return pod.DeletionTimestamp == nil && pod.Status.Phase == corev1.PodRunning
		}
	}
	return false
}

// checkLimits folds the log and checks the limits after each event from from on.
func checkLimits(t *testing.T, w *controllertest.World, from uint64, most, least int32) {
	t.Helper()
	objects := map[events.Key]*events.Object{}
	for e, err := range w.Bus.Log().Read(context.Background(), 1) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Type == events.Elected {
			continue
		}
		objects[e.Key], _ = events.Fold(objects[e.Key], e) // void is fine
		if e.Sequence <= from {
			continue
		}
		wanted, serving := int32(0), int32(0)
		for _, o := range objects {
			if !o.Exists() {
				continue
			}
			switch v := o.Value.(type) {
			case *appsv1.ReplicaSet:
				wanted += *v.Spec.Replicas
			case *corev1.Pod:
				if serves(v) {
					serving++
				}
			}
		}
		if wanted > most || serving < least {
			t.Fatalf("after %d (%s %s): %d replicas of at most %d, %d pods serve of at least %d", e.Sequence, e.Key, e.Type, wanted, most, serving, least)
		}
	}
}
