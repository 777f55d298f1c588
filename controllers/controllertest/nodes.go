package controllertest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// Nodes pretend to be scheduler and agents: pods are bound round robin, become
// ready at once, and are finished as soon as they are deleted.
type Nodes struct {
	Bus        bus.Bus
	Projection *projections.Projection
	Clock      func() time.Time

	next int

	mu      sync.Mutex
	counter uint64
	names   []string
	becomes func(*corev1.Pod) State
}

// Rename makes these the nodes that there are; pods on others stay as they are.
func (n *Nodes) Rename(names ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.names = names
}

// Become says what pods report from now on that are new on their node (nil: Ready).
func (n *Nodes) Become(f func(*corev1.Pod) State) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.becomes = f
}

func (n *Nodes) now() (names []string, becomes func(*corev1.Pod) State) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.names, n.becomes
}

// State is what a pretended pod does.
type State int

// What pods can do.
const (
	Ready State = iota
	Running
	Pending // bound, and nothing happens
	Failed
	Succeeded
)

// Run reacts to pods until ctx ends.
func (n *Nodes) Run(ctx context.Context) error {
	s := n.Projection.Snapshot()
	for o := range s.List("", "pods", "") {
		if err := n.pod(ctx, o); err != nil {
			return err
		}
	}
	for changes, err := range n.Projection.Changes(ctx, s.Position()) {
		if err != nil {
			return err
		}
		for _, c := range changes {
			if c.Void != nil || c.New == nil || c.New.Key.Resource != "pods" {
				continue
			}
			if err := n.pod(ctx, c.New); err != nil {
				return err
			}
		}
	}
	return nil
}

func (n *Nodes) pod(ctx context.Context, o *events.Object) error {
	pod, ok := o.Value.(*corev1.Pod)
	if !ok {
		return nil
	}
	if pod.Spec.NodeName == "" {
		return n.bind(ctx, o)
	}
	names, becomes := n.now()
	if !slices.Contains(names, pod.Spec.NodeName) || pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded {
		return nil
	}
	if pod.DeletionTimestamp != nil {
		return n.report(ctx, pod, corev1.PodStatus{Phase: corev1.PodSucceeded, Conditions: conditions(corev1.ConditionFalse, n.Clock())})
	}
	if pod.Status.Phase == corev1.PodPending {
		is := Ready
		if becomes != nil {
			is = becomes(pod)
		}
		return n.Report(ctx, pod, is)
	}
	return nil
}

// Report reports that a pod is now in a state.
func (n *Nodes) Report(ctx context.Context, pod *corev1.Pod, is State) error {
	n.mu.Lock()
	ip := "10.1." + strconv.FormatUint(n.counter/200%200, 10) + "." + strconv.FormatUint(n.counter%200+1, 10)
	n.mu.Unlock()
	status := corev1.PodStatus{Phase: corev1.PodRunning, PodIP: ip, PodIPs: []corev1.PodIP{{IP: ip}}}
	switch is {
	case Ready:
		status.Conditions = conditions(corev1.ConditionTrue, n.Clock())
	case Running:
		status.Conditions = conditions(corev1.ConditionFalse, n.Clock())
	case Pending:
		return nil
	case Failed:
		status.Phase, status.Conditions = corev1.PodFailed, conditions(corev1.ConditionFalse, n.Clock())
	case Succeeded:
		status.Phase, status.Conditions = corev1.PodSucceeded, conditions(corev1.ConditionFalse, n.Clock())
	}
	return n.report(ctx, pod, status)
}

func conditions(ready corev1.ConditionStatus, now time.Time) []corev1.PodCondition {
	at := metav1.NewTime(now.Truncate(time.Second))
	return []corev1.PodCondition{
		{Type: corev1.ContainersReady, Status: ready, LastTransitionTime: at},
		{Type: corev1.PodReady, Status: ready, LastTransitionTime: at},
	}
}

func (n *Nodes) bind(ctx context.Context, o *events.Object) error {
	names, _ := n.now()
	if len(names) == 0 {
		return nil
	}
	node := names[n.next%len(names)]
	n.next++
	if pod, ok := o.Value.(*corev1.Pod); ok {
		node = cmp.Or(named(pod), node)
	}
	data, err := json.Marshal(map[string]any{"spec": map[string]any{"nodeName": node}})
	if err != nil {
		return err
	}
	e := &events.Event{
		Prefix: events.PrefixDecision, Key: o.Key, ID: bus.NewID(), Source: "scheduler", Type: events.Scheduled,
		Time: n.Clock(), ContentType: events.ContentPatch, Data: data,
	}
	if err := n.answer(ctx, e); err != nil {
		return err
	}
	_, err = n.Bus.Log().Append(ctx, bus.Entry{Event: e, Expect: bus.Expect(o.Decision)})
	if errors.Is(err, events.ErrConflict) {
		return nil // the change that was first comes by as well
	}
	return err
}

func (n *Nodes) report(ctx context.Context, pod *corev1.Pod, status corev1.PodStatus) error {
	data, err := json.Marshal(map[string]any{"status": status})
	if err != nil {
		return err
	}
	n.mu.Lock()
	n.counter++
	counter := n.counter
	n.mu.Unlock()
	e := &events.Event{
		Prefix: events.PrefixFact, Reporter: pod.Spec.NodeName, Key: controllers.Pod.Key(pod.Namespace, pod.Name),
		ID: bus.NewID(), Source: "agent/" + pod.Spec.NodeName, Type: events.Reported, Time: n.Clock(),
		UID: string(pod.UID), Counter: events.Counter{Incarnation: 1, N: counter}, ContentType: events.ContentPatch, Data: data,
	}
	if err := n.answer(ctx, e); err != nil {
		return err
	}
	_, err = n.Bus.Log().Append(ctx, bus.Entry{Event: e})
	return err
}

// answer makes the newest decision about its object what e answers.
func (n *Nodes) answer(ctx context.Context, e *events.Event) error {
	last, err := n.Bus.Log().Last(ctx, e.Key.Subject())
	if errors.Is(err, events.ErrNotFound) {
		return nil
	}
	if err == nil {
		e.Cause, e.Traceparent = []uint64{last.Sequence}, last.Traceparent
	}
	return err
}
