package replicaset

import (
	"errors"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
)

// failure is why pods could not be created or deleted.
type failure struct {
	reason, doing, message string
}

// newFailure is what stopped the last intents in the API's own words, if it was
// the API. What can't be made in a namespace that is about to go is no failure.
func newFailure(err error) *failure {
	if err == nil {
		return nil
	}
	var refused *controllers.APIError
	if errors.As(err, &refused) && refused.HasCause(corev1.NamespaceTerminatingCause) {
		return nil
	}
	var f failure
	f.reason, f.doing, f.message = controllers.Refusal(err)
	return &f
}

func (f *failure) condition(now time.Time) appsv1.ReplicaSetCondition {
	return appsv1.ReplicaSetCondition{
		Type: appsv1.ReplicaSetReplicaFailure, Status: corev1.ConditionTrue,
		LastTransitionTime: metav1.NewTime(now.Truncate(time.Second)), Reason: f.reason, Message: f.message,
	}
}
