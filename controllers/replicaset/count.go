package replicaset

import (
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
)

// counts is what a pass over the pods finds.
type counts struct {
	active                                 []*events.Object
	labelled, ready, available, terminated int32
	nextAvailable                          time.Duration // until a ready pod becomes available; 0: none waits
}

func count(rs *appsv1.ReplicaSet, pods []*events.Object, now time.Time) counts {
	var c counts
	template := labels.Set(rs.Spec.Template.Labels).AsSelectorPreValidated()
	minReady := time.Duration(rs.Spec.MinReadySeconds) * time.Second
	for _, o := range pods {
		pod := o.Value.(*corev1.Pod)
		if controllers.Finished(pod) {
			continue
		}
		if pod.DeletionTimestamp != nil {
			c.terminated++
			continue
		}
		c.active = append(c.active, o)
		if template.Matches(labels.Set(pod.Labels)) {
			c.labelled++
		}
		since := controllers.ReadySince(pod)
		if since.IsZero() {
			continue
		}
		c.ready++
		wait := since.Add(minReady).Sub(now)
		if minReady == 0 || wait <= 0 {
			c.available++
		} else if c.nextAvailable == 0 || wait < c.nextAvailable {
			c.nextAvailable = wait
		}
	}
	return c
}

func (k Keeper) newStatus(rs *appsv1.ReplicaSet, c counts, failure *failure, now time.Time) appsv1.ReplicaSetStatus {
	status := appsv1.ReplicaSetStatus{
		Replicas: int32(len(c.active)), FullyLabeledReplicas: c.labelled, ReadyReplicas: c.ready,
		AvailableReplicas: c.available, ObservedGeneration: rs.Generation,
	}
	if k.TellsTerminating {
		status.TerminatingReplicas = &c.terminated
	}
	had := false
	for _, cond := range rs.Status.Conditions {
		// A failure that goes on keeps its first message: each attempt is about
		// another name, and news of it would lead to the next attempt.
		if cond.Type == appsv1.ReplicaSetReplicaFailure {
			had = true
			if failure == nil {
				continue
			}
		}
		status.Conditions = append(status.Conditions, cond)
	}
	if failure != nil && !had {
		status.Conditions = append(status.Conditions, failure.condition(now))
	}
	return status
}

func sameStatus(a, b *appsv1.ReplicaSetStatus) bool { return apiequality.Semantic.DeepEqual(a, b) }
