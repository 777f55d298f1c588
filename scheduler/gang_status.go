package scheduler

import (
	"context"
	"time"

	schedulingv1beta1 "k8s.io/api/scheduling/v1beta1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// saidOf is the write that says on a gang's PodGroup how its scheduling went; ok is false if
// there is nothing new to say: pods of a gang that was scheduled once are each on their own.
func (g *gangs) saidOf(of *gang, status metav1.ConditionStatus, reason, message string, now time.Time) (w claimWrite, ok bool) {
	group := g.groups[of.key]
	if group == nil {
		return w, false
	}
	c := metav1.Condition{
		Type: schedulingv1beta1.PodGroupInitiallyScheduled, Status: status, Reason: reason, Message: message,
		ObservedGeneration: group.Generation, LastTransitionTime: metav1.Time{Time: now.Truncate(time.Second)},
	}
	if have := meta.FindStatusCondition(group.Status.Conditions, c.Type); have != nil {
		if have.Status == metav1.ConditionTrue || have.Status == status && reasonsIn(have.Message) == reasonsIn(message) {
			return w, false
		}
		if have.Status == status {
			c.LastTransitionTime = have.LastTransitionTime
		}
	}
	return claimWrite{
		path:      "/apis/scheduling.k8s.io/v1beta1/namespaces/" + group.Namespace + "/podgroups/" + group.Name + "/status",
		strategic: true,
		patch:     map[string]any{"metadata": map[string]any{"uid": group.UID}, "status": map[string]any{"conditions": []metav1.Condition{c}}},
	}, true
}

// sayOfGang says why a gang waits on its PodGroup. If that fails it is said when the gang is tried next.
func (l *loop) sayOfGang(ctx context.Context, g *gang, message string) {
	w, ok := l.gangs.saidOf(g, metav1.ConditionFalse, schedulingv1beta1.PodGroupReasonUnschedulable, message, l.options.Clock.Now())
	pods := g.inOrder()
	if !ok || l.options.API == nil || len(pods) == 0 {
		return
	}
	about := *pods[0]
	about.attempt = 0 // no attempt of the pod's fails with it
	l.writes.start(ctx, &about, []claimWrite{w})
}
