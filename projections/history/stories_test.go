package history_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections/history"
)

// A bad image rolls out, and somebody else scales to nothing.
func TestRollout(t *testing.T) {
	s := newStory(t)
	s.trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
	applied := s.create(user("alice"), deployment(2, "hello:1"))
	s.roll("web-1", "hello:1", 2, applied)
	s.count(controller("deployment", 6), webKey, 2)
	good := s.now
	s.pass(3 * time.Minute)

	s.trace = "00-1111651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
	bad := s.change(user("bob"), webKey, setImage("hello:2-typo"))
	set := s.create(controller("deployment", bad).tells("ScalingReplicaSet", "Scaled up replica set web-2 from 0 to 1"), replicaSet("web-2", 1, "hello:2-typo"))
	made := s.create(controller("replicaset", set).tells("SuccessfulCreate", "Created pod: web-2-a"), pod("web-2-a", "web-2", "hello:2-typo"))
	placed := s.place("web-2-a", "n3", made)
	s.report("n3", podKey("web-2-a"), placed, "Failed", "Failed to pull image \"hello:2-typo\": not found", func(o runtime.Object) {
		p := o.(*corev1.Pod)
		ready(p, corev1.ConditionFalse, "ContainersNotReady")
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "web", Image: "hello:2-typo",
			State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: "hello:2-typo: not found"}}}}
	})
	s.pass(10 * time.Second)
	s.report("n3", podKey("web-2-a"), placed, "BackOff", "Back-off pulling image \"hello:2-typo\"", func(o runtime.Object) {
		o.(*corev1.Pod).Status.ContainerStatuses[0].State.Waiting = &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: "Back-off pulling image \"hello:2-typo\": not found"}
	})
	s.why(podKey("web-2-a"), "")
	s.why(podKey("web-1-a"), "")
	s.undo(webKey, 0)

	s.pass(time.Hour)
	s.trace = "00-2222651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
	zero := s.change(user("carol"), webKey, scale(0))
	down := s.change(controller("deployment", zero).tells("ScalingReplicaSet", "Scaled down replica set web-1 from 2 to 0"),
		events.Key{Group: "apps", Resource: "replicasets", Namespace: "default", Name: "web-1"}, scale(0))
	for _, name := range []string{"web-1-a", "web-1-b"} {
		now := metav1.NewTime(s.now)
		going := s.change(controller("replicaset", down).tells("SuccessfulDelete", "Deleted pod: "+name), podKey(name), func(o runtime.Object) {
			o.(*corev1.Pod).DeletionTimestamp = &now
		})
		s.change(controller("node-feed", going), podKey(name), nil)
	}
	s.count(controller("deployment", down), webKey, 0)

	s.history(webKey, plain)
	s.history(podKey("web-1-a"), plain)
	s.why(podKey("web-1-a"), "")
	s.why(webKey, "")
	s.why(webKey, "spec.replicas")
	s.why(webKey, "spec.template.spec.containers[web].image")
	s.why(webKey, "spec.nothing")
	m := history.Moment{Text: "good", Time: good}
	from, err := m.Position(t.Context(), s.bus.Log())
	if err != nil {
		t.Fatal(err)
	}
	s.diff(from, s.fold.Snapshot().Position(), plain)
	s.undo(webKey, 0)
	s.undo(webKey, from)
	s.undo(podKey("web-1-b"), 0)
	s.golden()
}

// A container runs out of memory, and another time its probe fails.
func TestRestarts(t *testing.T) {
	s := newStory(t)
	applied := s.create(user("alice"), deployment(1, "hello:1"))
	s.roll("web-1", "hello:1", 1, applied)
	k := podKey("web-1-a")
	again := func(reason string, code int32, n int32) func(runtime.Object) {
		return func(o runtime.Object) {
			c := &o.(*corev1.Pod).Status.ContainerStatuses[0]
			c.RestartCount = n
			c.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason}
			c.State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(s.now)}}
			ready(o.(*corev1.Pod), corev1.ConditionTrue, "")
		}
	}
	ended := func(reason string, code int32) func(runtime.Object) {
		return func(o runtime.Object) {
			c := &o.(*corev1.Pod).Status.ContainerStatuses[0]
			c.State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason}}
			ready(o.(*corev1.Pod), corev1.ConditionFalse, "ContainersNotReady")
		}
	}
	s.pass(time.Minute)
	s.report("n1", k, 4, "", "", ended("OOMKilled", 137))
	s.report("n1", k, 4, "Started", "Container started", again("OOMKilled", 137, 1))
	s.pass(time.Hour)
	s.report("n1", k, 4, "Unhealthy,Killing", "Liveness probe failed: HTTP probe failed with statuscode: 500\nContainer web failed liveness probe, will be restarted", func(o runtime.Object) {
		ready(o.(*corev1.Pod), corev1.ConditionFalse, "ContainersNotReady")
	})
	s.report("n1", k, 4, "", "", ended("Error", 143))
	s.report("n1", k, 4, "Started", "Container started", again("Error", 143, 2))
	s.why(k, "")
	s.history(k, plain)
	s.golden()
}

// A node is lost; its pod is evicted and made anew on another one.
func TestNodeLost(t *testing.T) {
	s := newStory(t)
	applied := s.create(user("alice"), deployment(1, "hello:1"))
	set := s.roll("web-1", "hello:1", 1, applied)
	n1 := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}}
	s.create(say{actor: "system:node:n1", source: "gateway"}, n1)
	s.pass(10 * time.Minute)
	lost := s.change(say{actor: "system:serviceaccount:kube-system:node-controller", source: "controllers", typ: events.Lost, reason: "NodeNotReady", note: "Node n1 stopped sending heartbeats"},
		keyOf(n1), func(o runtime.Object) {
			o.(*corev1.Node).Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionUnknown, Reason: "NodeStatusUnknown"}}
		})
	s.change(say{actor: "system:serviceaccount:kube-system:node-controller", source: "controllers", typ: events.Progressed, reason: "NodeNotReady", note: "Node is not ready", cause: []uint64{lost}},
		podKey("web-1-a"), func(o runtime.Object) { ready(o.(*corev1.Pod), corev1.ConditionFalse, "") })
	s.pass(5 * time.Minute)
	evicted := s.change(controller("node", lost).tells("TaintManagerEviction", "Marking for deletion Pod default/web-1-a"), podKey("web-1-a"), nil)
	made := s.create(controller("replicaset", set, evicted).tells("SuccessfulCreate", "Created pod: web-1-b"), pod("web-1-b", "web-1", "hello:1"))
	s.start("web-1-b", "n2", s.place("web-1-b", "n2", made))
	s.why(podKey("web-1-a"), "")
	s.why(podKey("web-1-b"), "")
	s.why(keyOf(n1), "")
	s.golden()
}

// A pod finds no node, and one makes room for another.
func TestScheduling(t *testing.T) {
	s := newStory(t)
	low := s.create(user("alice"), pod("low", "gone", "hello:1"))
	s.start("low", "n1", s.place("low", "n1", low))
	high := s.create(user("bob"), pod("high", "gone", "hello:1"))
	s.pass(time.Second)
	refuse := scheduler(high).as(events.Unschedulable).tells("FailedScheduling", "0/3 nodes are available: 1 node(s) had untolerated taint {key: value}, 2 Insufficient cpu.")
	refuse.why = `{"nodes":3,"feasible":0,"refused":{"NodeResourcesFit":2,"TaintToleration":1}}`
	refused := s.change(refuse, podKey("high"), func(o runtime.Object) {
		p := o.(*corev1.Pod)
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: refuse.note}}
	})
	s.why(podKey("high"), "")
	s.change(scheduler(refused).as(events.Preempted).tells("Preempted", "Preempted by pod high-uid on node n1"), podKey("low"), func(o runtime.Object) {
		p := o.(*corev1.Pod)
		p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: "PreemptionByScheduler"})
	})
	s.why(podKey("low"), "")
	s.history(podKey("high"), plain)
	s.golden()
}

// A name used again, events without effect, a secret, and where nothing is recorded.
func TestCorners(t *testing.T) {
	s := newStory(t)
	first := s.elect("deployment")
	config := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "settings"}, Data: map[string]string{"color": "blue", "app.yaml": "a: 1"}}
	k := keyOf(config)
	s.create(user("alice"), config)
	s.change(user("alice"), k, nil)
	again := config.DeepCopy()
	again.UID = "another-uid"
	s.create(user("bob"), again)
	second := s.elect("deployment")
	old := controller("deployment")
	old.epoch, old.component = first, "deployment"
	s.change(old, k, func(o runtime.Object) { o.(*corev1.ConfigMap).Data["color"] = "green" })
	late := user("carol")
	late.ifVersion = 2
	s.change(late, k, func(o runtime.Object) { o.(*corev1.ConfigMap).Data["color"] = "red" })
	old.epoch = second
	s.change(old, k, func(o runtime.Object) {
		c := o.(*corev1.ConfigMap)
		c.Data["color"] = "green"
		c.Data["app.yaml"] = "a: 2"
		c.Labels = map[string]string{"example.com/tier": "front"}
		c.Finalizers = []string{"example.com/wait"}
	})
	s.history(k, plain)
	s.why(k, "")
	s.why(k, "data.color")
	s.why(k, "data[app.yaml]")
	s.undo(k, 0)

	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "password"}, Data: map[string][]byte{"word": []byte("sealed-1"), "same": []byte("sealed")}}
	s.create(user("alice"), secret)
	s.change(user("bob"), keyOf(secret), func(o runtime.Object) {
		o.(*corev1.Secret).Data["word"] = []byte("sealed-2")
		o.(*corev1.Secret).Data["more"] = []byte("sealed-3")
	})
	s.history(keyOf(secret), plain)
	s.why(keyOf(secret), "data.word")
	s.diff(s.fold.Snapshot().Position()-1, s.fold.Snapshot().Position(), plain)

	s.create(controller("replicaset"), pod("orphan", "gone", "hello:1"))
	s.why(podKey("orphan"), "")
	s.history(podKey("nobody"), plain)
	s.golden()
}

// The beginning of the history is gone; what lives on is still known.
func TestTrimmed(t *testing.T) {
	s := newStory(t)
	first := s.elect("deployment")
	applied := s.create(user("alice"), deployment(1, "hello:1"))
	s.elect("deployment")
	s.roll("web-1", "hello:1", 1, applied)
	s.change(user("alice"), webKey, scale(2))
	s.checkpoint()
	base := s.fold.Snapshot().Position()
	s.change(user("bob"), webKey, scale(3))
	s.checkpoint()
	if begins, err := s.fold.Trim(t.Context(), base, "test"); err != nil || begins != base+1 {
		t.Fatalf("the log begins at %d, %v, want %d", begins, err, base+1)
	}
	late := controller("deployment")
	late.epoch, late.component = first, "deployment"
	s.change(late, webKey, scale(99))
	s.history(webKey, plain)
	s.history(podKey("web-1-a"), plain)
	s.why(webKey, "spec.template.spec.containers[web].image")
	s.undo(webKey, 3)
	s.undo(webKey, 0)
	s.golden()
}
