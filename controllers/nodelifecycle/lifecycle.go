package nodelifecycle

import (
	"context"
	"encoding/json"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// Grace is how long a node may be silent by default.
const Grace = 50 * time.Second

// beforeLost keeps what the node had reported about itself while it is lost.
const beforeLost = "reckon.dev/conditions-before-lost"

// New makes the controller of nodes; grace 0 is Grace.
func New(b *Beats, grace time.Duration) *controllers.Controller {
	if grace == 0 {
		grace = Grace
	}
	l := lifecycle{b, grace}
	return controllers.New("node-controller").
		For("", "nodes").
		Source(b.listen).
		Writes(events.Lost, events.Recovered).
		Reconcile(l.reconcile)
}

type lifecycle struct {
	beats *Beats
	grace time.Duration
}

func (l lifecycle) reconcile(ctx context.Context, s *projections.Snapshot, key events.Key) (controllers.Result, error) {
	o := s.Get(key)
	if !o.Exists() {
		return controllers.Result{}, nil
	}
	node, ok := o.Value.(*corev1.Node)
	if !ok {
		return controllers.Result{}, nil
	}
	now := controllers.Now(ctx)
	last, heard := l.beats.Last(node.Name)
	grace := l.grace
	if condition(node, corev1.NodeReady) == nil {
		grace += grace / 5 // it is only just starting
	}
	left := last.Add(grace).Sub(now)
	unknown := isUnknown(node)
	switch {
	case left <= 0 && !unknown:
		changed := node.DeepCopy()
		setUnknown(changed, heard, now)
		changed.Spec.Taints = taintsOf(changed, now)
		l.beats.await(node.Name)
		return controllers.Do(controllers.Append(events.Lost, o, changed).
			Because("NodeNotReady", "Node %s status is now: NodeNotReady (no heartbeat for %s)", node.Name, now.Sub(last).Truncate(time.Second))), nil
	case left <= 0:
		l.beats.await(node.Name)
		if again, ok := l.beats.Last(node.Name); ok && again.After(last) {
			return controllers.Result{RequeueAfter: time.Millisecond}, nil // it came between the two
		}
		return controllers.Result{}, nil
	case unknown && heard:
		changed := node.DeepCopy()
		setKnown(changed, now)
		changed.Spec.Taints = taintsOf(changed, now)
		return controllers.Result{
			Intents: []controllers.Intent{controllers.Append(events.Recovered, o, changed).
				Because("NodeReady", "Node %s status is now: NodeReady (heard again)", node.Name)},
			RequeueAfter: left,
		}, nil
	case unknown:
		l.beats.await(node.Name)
	}
	result := controllers.Result{RequeueAfter: left}
	taints, labels := taintsOf(node, now), formerLabelsOf(node)
	if len(labels) > 0 || !apiequality.Semantic.DeepEqual(taints, node.Spec.Taints) {
		changed := node.DeepCopy()
		changed.Spec.Taints = taints
		maps.Copy(changed.Labels, labels)
		// Not a patch: it would take back a taint that somebody sets right now.
		result.Intents = append(result.Intents, controllers.Update(o, changed))
	}
	return result, nil
}

// reported are the conditions that a node reports about itself.
var reported = []corev1.NodeConditionType{corev1.NodeReady, corev1.NodeMemoryPressure, corev1.NodeDiskPressure, corev1.NodePIDPressure}

func condition(node *corev1.Node, t corev1.NodeConditionType) *corev1.NodeCondition {
	for i := range node.Status.Conditions {
		if node.Status.Conditions[i].Type == t {
			return &node.Status.Conditions[i]
		}
	}
	return nil
}

func isUnknown(node *corev1.Node) bool {
	c := condition(node, corev1.NodeReady)
	return c != nil && c.Status == corev1.ConditionUnknown
}

// setUnknown says that nothing is known of the node, and keeps what was.
func setUnknown(node *corev1.Node, heard bool, now time.Time) {
	var was []corev1.NodeCondition
	at := metav1.NewTime(now.Truncate(time.Second))
	for _, t := range reported {
		c := condition(node, t)
		reason, message := "NodeStatusUnknown", "Kubelet stopped posting node status."
		if c == nil {
			if !heard {
				reason, message = "NodeStatusNeverUpdated", "Kubelet never posted node status."
			}
			node.Status.Conditions = append(node.Status.Conditions, corev1.NodeCondition{Type: t})
			c = condition(node, t)
		} else {
			was = append(was, corev1.NodeCondition{Type: c.Type, Status: c.Status, Reason: c.Reason, Message: c.Message})
		}
		c.Status, c.Reason, c.Message, c.LastTransitionTime = corev1.ConditionUnknown, reason, message, at
	}
	if data, err := json.Marshal(was); err == nil {
		if node.Annotations == nil {
			node.Annotations = map[string]string{}
		}
		node.Annotations[beforeLost] = string(data)
	}
}

// setKnown puts back what the node had reported; what it reports from now on
// replaces that.
func setKnown(node *corev1.Node, now time.Time) {
	var was []corev1.NodeCondition
	if json.Unmarshal([]byte(node.Annotations[beforeLost]), &was) != nil {
		was = nil
	}
	delete(node.Annotations, beforeLost)
	at := metav1.NewTime(now.Truncate(time.Second))
	for _, t := range reported {
		c := condition(node, t)
		if c == nil || c.Status != corev1.ConditionUnknown {
			continue
		}
		c.Status, c.Reason, c.Message = corev1.ConditionFalse, "KubeletIsBack", "kubelet sends heartbeats again"
		if t == corev1.NodeReady {
			c.Status = corev1.ConditionTrue
		}
		for _, w := range was {
			if w.Type == t {
				c.Status, c.Reason, c.Message = w.Status, w.Reason, w.Message
			}
		}
		c.LastHeartbeatTime, c.LastTransitionTime = at, at
	}
}
