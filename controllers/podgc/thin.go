package podgc

import (
	"cmp"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// tooMany is the key of all ended pods together.
var tooMany = controllers.Pod.Key("", "")

// Ended pods are looked through once in a period, and so many are removed at once.
const (
	period = 20 * time.Second
	burst  = 1000
)

// thin removes ended pods down to those that may be kept: evicted ones first,
// then the oldest.
func thin(s *projections.Snapshot, keep int) controllers.Result {
	var ended []*events.Object
	for o := range s.List("", "pods", "") {
		if hasEnded(o) && o.Meta().GetDeletionTimestamp() == nil {
			ended = append(ended, o)
		}
	}
	result := controllers.Result{Quiet: period}
	n := len(ended) - keep
	if n <= 0 {
		return result
	}
	slices.SortFunc(ended, func(a, b *events.Object) int {
		x, y := a.Value.(*corev1.Pod), b.Value.(*corev1.Pod)
		return cmp.Or(evicted(y)-evicted(x), x.CreationTimestamp.Compare(y.CreationTimestamp.Time), cmp.Compare(x.Name, y.Name), cmp.Compare(x.Namespace, y.Namespace))
	})
	for _, o := range ended[:min(n, burst)] {
		result.Intents = append(result.Intents, deleteNow(o).Because("PodRemoved", "Removed pod %s: %d pods have ended", o.Key.Name, len(ended)))
	}
	if n > burst {
		result.Quiet, result.RequeueAfter = 0, time.Millisecond
	}
	return result
}

func evicted(p *corev1.Pod) int {
	if p.Status.Phase == corev1.PodFailed && p.Status.Reason == "Evicted" {
		return 1
	}
	return 0
}
