package replicaset

import (
	"context"
	"errors"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// burst bounds the pods created or deleted by one reconcile: the next one waits
// for the last of them.
const burst = 2000

// quietPerPod is how long a reconcile keeps the next one off, per pod counted.
const quietPerPod = 25 * time.Microsecond

var kind = controllers.Selecting{Kind: controllers.ReplicaSet, Selector: func(o *events.Object) *metav1.LabelSelector {
	rs, ok := o.Value.(*appsv1.ReplicaSet)
	if !ok {
		return nil
	}
	return rs.Spec.Selector
}}

// New makes the controller.
func New() *controllers.Controller {
	return controllers.New("replicaset-controller").
		For("apps", "replicasets").
		Watches("", "pods", podChanged).
		Writes(events.Progressed).
		Reconcile(reconcile)
}

// podChanged maps a pod's change to its replica set if it matters there.
func podChanged(s *projections.Snapshot, c projections.Change, add func(events.Key)) {
	if c.Old != nil && c.New != nil && c.Event != nil && c.Event.Prefix == events.PrefixFact {
		o, ok1 := c.Old.Value.(*corev1.Pod)
		n, ok2 := c.New.Value.(*corev1.Pod)
		if ok1 && ok2 && o.Status.Phase == n.Status.Phase && readySince(o).Equal(readySince(n)) {
			return
		}
	}
	kind.OfChild(s, c, add)
}

func reconcile(ctx context.Context, s *projections.Snapshot, key events.Key) (controllers.Result, error) {
	o := s.Get(key)
	if key.Resource == "pods" {
		return controllers.Do(kind.Adopt(s, o)...), nil
	}
	if !o.Exists() {
		return controllers.Result{}, nil
	}
	rs := o.Value.(*appsv1.ReplicaSet)
	selector, err := metav1.LabelSelectorAsSelector(rs.Spec.Selector)
	if err != nil || selector.Empty() {
		return controllers.Result{}, err
	}
	pods, strangers := kind.Children(s, o, controllers.Pod, selector)
	var result controllers.Result
	if rs.DeletionTimestamp == nil {
		for _, p := range strangers {
			result.Intents = append(result.Intents, kind.Release(o, p))
		}
		if rs.Status.ObservedGeneration == 0 {
			for _, p := range kind.Orphans(s, o, controllers.Pod, selector) {
				if !finished(p.Value.(*corev1.Pod)) {
					result.Intents = append(result.Intents, kind.AdoptInto(o, p))
				}
			}
		}
		if len(result.Intents) > 0 {
			return result, nil // count when it is settled who belongs here
		}
	}
	now := controllers.Now(ctx)
	c := count(rs, pods, now)
	failure := controllers.Failure(ctx)
	if rs.DeletionTimestamp == nil {
		switch diff := int(*rs.Spec.Replicas) - len(c.active); {
		case diff > 0:
			n := min(diff, burst)
			if failure != nil {
				n = 1
			}
			result.Intents = createPods(s, rs, n)
		case diff < 0:
			result.Intents, failure = deletePods(s, rs, c.active, min(-diff, burst), now), nil
		default:
			failure = nil
		}
	}
	if len(result.Intents) == 0 {
		result.Quiet = time.Duration(len(pods)) * quietPerPod
	}
	result.RequeueAfter = c.nextAvailable
	if status := newStatus(rs, c, failure, now); !sameStatus(&rs.Status, &status) {
		updated := *rs
		updated.Status = status
		progressed := controllers.Progressed(o, &updated)
		if failure != nil {
			progressed = progressed.Because("FailedCreate", "Error creating: %s", why(failure))
		}
		// First: after a refused create nothing more is started.
		result.Intents = append([]controllers.Intent{progressed}, result.Intents...)
	}
	return result, nil
}

func createPods(s *projections.Snapshot, rs *appsv1.ReplicaSet, n int) []controllers.Intent {
	intents := make([]controllers.Intent, 0, n)
	names := controllers.Namer{Prefix: rs.Name, UID: string(rs.UID), Position: s.Position()}
	for range n {
		pod := newPod(rs)
		pod.Name = names.Next(func(name string) bool { return s.Get(controllers.Pod.Key(rs.Namespace, name)).Exists() })
		intents = append(intents, controllers.Create(controllers.Pod, pod).Because("SuccessfulCreate", "Created pod: %s", pod.Name))
	}
	return intents
}

func newPod(rs *appsv1.ReplicaSet) *corev1.Pod {
	t := &rs.Spec.Template
	return &corev1.Pod{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: rs.Namespace, GenerateName: rs.Name + "-",
			Labels: t.Labels, Annotations: t.Annotations, Finalizers: t.Finalizers,
			OwnerReferences: []metav1.OwnerReference{controllers.ReplicaSet.Ref(rs)},
		},
		Spec: t.Spec,
	}
}

func deletePods(s *projections.Snapshot, rs *appsv1.ReplicaSet, active []*events.Object, n int, now time.Time) []controllers.Intent {
	intents := make([]controllers.Intent, 0, n)
	for _, p := range rank(s, rs, active, now)[:n] {
		intents = append(intents, controllers.Delete(p).Because("SuccessfulDelete", "Deleted pod: %s", p.Key.Name))
	}
	return intents
}

func failureCondition(err error, now time.Time) appsv1.ReplicaSetCondition {
	return appsv1.ReplicaSetCondition{
		Type: appsv1.ReplicaSetReplicaFailure, Status: corev1.ConditionTrue,
		LastTransitionTime: metav1.NewTime(now.Truncate(time.Second)), Reason: "FailedCreate", Message: why(err),
	}
}

// why is the API's own words, if it was the API that refused.
func why(err error) string {
	var refused *controllers.APIError
	if errors.As(err, &refused) {
		return refused.Status.Message
	}
	return err.Error()
}
