package replicaset

import (
	"context"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// burst bounds the pods created or deleted by one reconcile: the next one waits
// for the last of them.
const burst = 2000

// quietPerPod is how long a reconcile keeps the next one off, per pod counted.
const quietPerPod = 25 * time.Microsecond

// podChanged maps a pod's change to its set if it matters there.
func (k Keeper) podChanged(s *projections.Snapshot, c projections.Change, add func(events.Key)) {
	if c.Old != nil && c.New != nil && c.Event != nil && c.Event.Prefix == events.PrefixFact {
		o, ok1 := c.Old.Value.(*corev1.Pod)
		n, ok2 := c.New.Value.(*corev1.Pod)
		if ok1 && ok2 && o.Status.Phase == n.Status.Phase && controllers.ReadySince(o).Equal(controllers.ReadySince(n)) {
			return
		}
	}
	k.Kind.OfChild(s, c, add)
}

func (k Keeper) reconcile(ctx context.Context, s *projections.Snapshot, key events.Key) (controllers.Result, error) {
	o := s.Get(key)
	if key.Resource == "pods" {
		return controllers.Do(k.Kind.Adopt(s, o)...), nil
	}
	if !o.Exists() {
		return controllers.Result{}, nil
	}
	rs := k.Set(o)
	selector, err := controllers.Compile(rs.Spec.Selector)
	if err != nil || selector.Empty() {
		return controllers.Result{}, err
	}
	pods, strangers := k.Kind.Children(s, o, controllers.Pod, selector)
	if rs.DeletionTimestamp == nil {
		if settle := k.belongings(s, o, rs, selector, strangers); len(settle) > 0 {
			return controllers.Do(settle...), nil // count when it is settled who belongs here
		}
	}
	now := controllers.Now(ctx)
	c := count(rs, pods, now)
	result, failed := controllers.Result{RequeueAfter: c.nextAvailable}, controllers.Failure(ctx)
	failure := newFailure(failed)
	if rs.DeletionTimestamp == nil {
		switch diff := int(*rs.Spec.Replicas) - len(c.active); {
		case diff > 0:
			n := min(diff, burst)
			if failed != nil {
				n = 1
			}
			result.Intents = k.createPods(s, rs, n)
		case diff < 0:
			result.Intents = deletePods(s, rs, c.active, min(-diff, burst), now)
		default:
			failure = nil
		}
	}
	if len(result.Intents) == 0 {
		result.Quiet = time.Duration(len(pods)) * quietPerPod
	}
	if status := k.newStatus(rs, c, failure, now); !sameStatus(&rs.Status, &status) {
		progressed := controllers.Progressed(o, k.WithStatus(o, &status))
		if failure != nil {
			progressed = progressed.Because(failure.reason, "Error %s: %s", failure.doing, failure.message)
		}
		// First: after a refused create nothing more is started.
		result.Intents = append([]controllers.Intent{progressed}, result.Intents...)
	}
	return result, nil
}

// belongings releases strangers and, for a new set, adopts what was there before it.
func (k Keeper) belongings(s *projections.Snapshot, o *events.Object, rs *appsv1.ReplicaSet, selector labels.Selector, strangers []*events.Object) []controllers.Intent {
	var settle []controllers.Intent
	for _, p := range strangers {
		settle = append(settle, k.Kind.Release(o, p))
	}
	if rs.Status.ObservedGeneration == 0 {
		for _, p := range k.Kind.Orphans(s, o, controllers.Pod, selector) {
			if !controllers.Finished(p.Value.(*corev1.Pod)) {
				settle = append(settle, k.Kind.AdoptInto(o, p))
			}
		}
	}
	return settle
}

func (k Keeper) createPods(s *projections.Snapshot, rs *appsv1.ReplicaSet, n int) []controllers.Intent {
	intents := make([]controllers.Intent, 0, n)
	names := controllers.Namer{Prefix: rs.Name, UID: string(rs.UID), Position: s.Position()}
	for range n {
		pod := k.newPod(rs)
		pod.Name = names.Next(func(name string) bool { return s.Get(controllers.Pod.Key(rs.Namespace, name)).Exists() })
		intents = append(intents, controllers.Create(controllers.Pod, pod).Because("SuccessfulCreate", "Created pod: %s", pod.Name))
	}
	return intents
}

func (k Keeper) newPod(rs *appsv1.ReplicaSet) *corev1.Pod {
	t := &rs.Spec.Template
	return &corev1.Pod{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: rs.Namespace, GenerateName: rs.Name + "-",
			Labels: t.Labels, Annotations: t.Annotations, Finalizers: t.Finalizers,
			OwnerReferences: []metav1.OwnerReference{k.Kind.Ref(rs)},
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
