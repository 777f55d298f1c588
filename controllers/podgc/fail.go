package podgc

import (
	"encoding/json"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
)

// fail makes a pod failed, of which nobody else will say that it ended.
func fail(o *events.Object, end *ending, now time.Time) controllers.Intent {
	status := map[string]any{"phase": corev1.PodFailed}
	if end.disrupted != "" {
		status["conditions"] = []corev1.PodCondition{{
			Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: "DeletionByPodGC", Message: end.disrupted,
			LastTransitionTime: metav1.NewTime(now.Truncate(time.Second)), ObservedGeneration: o.Meta().GetGeneration(),
		}}
	}
	// The conditions of others stay: a strategic patch merges them by type.
	patch, err := json.Marshal(map[string]any{"status": status})
	if err != nil {
		panic(err) // of strings and times
	}
	i := controllers.MergePatch(o, patch)
	i.ContentType, i.Subresource = string(types.StrategicMergePatchType), "status"
	return i
}
