package replicaset

import (
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
)

// Keeper keeps the number of pods that objects of a kind ask for: ReplicaSets, and
// what can be looked at as one.
type Keeper struct {
	Name string // the controller's
	Kind controllers.Selecting
	// Set is the object as a replica set; it is not changed.
	Set func(*events.Object) *appsv1.ReplicaSet
	// WithStatus is the object with another status; the object is not changed.
	WithStatus func(*events.Object, *appsv1.ReplicaSetStatus) runtime.Object
	// TellsTerminating: the status has terminatingReplicas.
	TellsTerminating bool
}

// Controller makes the controller.
func (k Keeper) Controller() *controllers.Controller {
	return controllers.New(k.Name).
		For(k.Kind.Group, k.Kind.Resource).
		Watches("", "pods", k.podChanged).
		Writes(events.Progressed).
		Reconcile(k.reconcile)
}

// New makes the controller of ReplicaSets.
func New() *controllers.Controller {
	return Keeper{
		Name: "replicaset-controller",
		Kind: controllers.Selecting{Kind: controllers.ReplicaSet, Selector: func(o *events.Object) *metav1.LabelSelector {
			if rs, ok := o.Value.(*appsv1.ReplicaSet); ok {
				return rs.Spec.Selector
			}
			return nil
		}},
		Set: func(o *events.Object) *appsv1.ReplicaSet { return o.Value.(*appsv1.ReplicaSet) },
		WithStatus: func(o *events.Object, status *appsv1.ReplicaSetStatus) runtime.Object {
			updated := *o.Value.(*appsv1.ReplicaSet)
			updated.Status = *status
			return &updated
		},
		TellsTerminating: true,
	}.Controller()
}
