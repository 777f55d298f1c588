package replicationcontroller

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/replicaset"
	"github.com/reckon-project/reckon/events"
)

// New makes the controller.
func New() *controllers.Controller {
	return replicaset.Keeper{
		Name:       "replication-controller",
		Kind:       controllers.Selecting{Kind: controllers.ReplicationController, Selector: selector},
		Set:        asSet,
		WithStatus: withStatus,
	}.Controller()
}

func selector(o *events.Object) *metav1.LabelSelector {
	rc, ok := o.Value.(*corev1.ReplicationController)
	if !ok {
		return nil
	}
	return &metav1.LabelSelector{MatchLabels: rc.Spec.Selector}
}

// asSet looks at a ReplicationController as a ReplicaSet.
func asSet(o *events.Object) *appsv1.ReplicaSet {
	rc := o.Value.(*corev1.ReplicationController)
	rs := &appsv1.ReplicaSet{
		ObjectMeta: rc.ObjectMeta,
		Spec:       appsv1.ReplicaSetSpec{Replicas: rc.Spec.Replicas, MinReadySeconds: rc.Spec.MinReadySeconds, Selector: selector(o)},
		Status: appsv1.ReplicaSetStatus{
			Replicas: rc.Status.Replicas, FullyLabeledReplicas: rc.Status.FullyLabeledReplicas, ReadyReplicas: rc.Status.ReadyReplicas,
			AvailableReplicas: rc.Status.AvailableReplicas, ObservedGeneration: rc.Status.ObservedGeneration,
		},
	}
	if rc.Spec.Template != nil {
		rs.Spec.Template = *rc.Spec.Template
	}
	for _, c := range rc.Status.Conditions {
		rs.Status.Conditions = append(rs.Status.Conditions, appsv1.ReplicaSetCondition{
			Type: appsv1.ReplicaSetConditionType(c.Type), Status: c.Status, LastTransitionTime: c.LastTransitionTime, Reason: c.Reason, Message: c.Message,
		})
	}
	return rs
}

func withStatus(o *events.Object, s *appsv1.ReplicaSetStatus) runtime.Object {
	updated := *o.Value.(*corev1.ReplicationController)
	updated.Status = corev1.ReplicationControllerStatus{
		Replicas: s.Replicas, FullyLabeledReplicas: s.FullyLabeledReplicas, ReadyReplicas: s.ReadyReplicas,
		AvailableReplicas: s.AvailableReplicas, ObservedGeneration: s.ObservedGeneration,
	}
	for _, c := range s.Conditions {
		updated.Status.Conditions = append(updated.Status.Conditions, corev1.ReplicationControllerCondition{
			Type: corev1.ReplicationControllerConditionType(c.Type), Status: c.Status, LastTransitionTime: c.LastTransitionTime, Reason: c.Reason, Message: c.Message,
		})
	}
	return &updated
}
