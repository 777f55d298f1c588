package devicetaint

import (
	"context"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/dynamic-resource-allocation/resourceclaim"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

const (
	// marked is the reason of the condition DisruptionTarget.
	marked = "DeletionByDeviceTaintManager"
	told   = "DeviceTaintManagerEviction"
)

// New makes the controller.
func New() *controllers.Controller {
	var w waiting
	return controllers.New("device-taint-eviction-controller").
		Watches("", "pods", podChanged).
		Watches("resource.k8s.io", "resourceclaims", claimChanged).
		Watches("resource.k8s.io", "resourceslices", sliceChanged).
		Watches("resource.k8s.io", "devicetaintrules", ruleChanged).
		Writes(events.Progressed).
		Reconcile(w.reconcile)
}

// waiting remembers which pods are about to be removed, to tell if it is called off.
type waiting struct{ pods sync.Map }

func (w *waiting) reconcile(ctx context.Context, s *projections.Snapshot, key events.Key) (controllers.Result, error) {
	o := s.Get(key)
	pod, ok := value[*corev1.Pod](o)
	if !ok || pod.DeletionTimestamp != nil || pod.Spec.NodeName == "" || controllers.Finished(pod) {
		w.pods.Delete(key)
		return controllers.Result{}, nil
	}
	now := controllers.Now(ctx)
	at, tainted := removal(s, pod, now)
	switch {
	case !tainted:
		if _, was := w.pods.LoadAndDelete(key); was {
			return controllers.Do(controllers.Progressed(o, pod).Because(told, "Cancelling deletion")), nil
		}
		return controllers.Result{}, nil
	case at.After(now):
		w.pods.Store(key, true)
		return controllers.Result{RequeueAfter: at.Sub(now)}, nil
	}
	w.pods.Delete(key)
	if isMarked(pod) {
		return controllers.Do(controllers.Delete(o)), nil
	}
	return controllers.Do(controllers.Progressed(o, mark(pod, now)).Because(told, "Marking for deletion")), nil
}

// removal is when a pod has to go, if it has to.
func removal(s *projections.Snapshot, pod *corev1.Pod, now time.Time) (at time.Time, tainted bool) {
	for i := range pod.Spec.ResourceClaims {
		name, owned, err := resourceclaim.Name(pod, &pod.Spec.ResourceClaims[i])
		if err != nil || name == nil {
			continue // it isn't there yet, or isn't needed
		}
		claim, ok := projections.Get[*resourcev1.ResourceClaim](s, controllers.ResourceClaim.Key(pod.Namespace, *name))
		if !ok || owned && resourceclaim.IsForPod(pod, claim, true) != nil || !resourceclaim.IsReservedForPod(pod, claim, true) {
			continue
		}
		for _, device := range results(claim) {
			for _, taint := range taintsOf(s, &device) {
				if until, bounded := tolerated(&device, &taint, now); bounded && (!tainted || until.Before(at)) {
					at, tainted = until, true
				}
			}
		}
	}
	return at, tainted
}

// tolerated is until when a device's taint is borne; bounded is false if for ever.
func tolerated(device *resourcev1.DeviceRequestAllocationResult, taint *resourcev1.DeviceTaint, now time.Time) (until time.Time, bounded bool) {
	since := now // its time is about to be written
	if taint.TimeAdded != nil {
		since = taint.TimeAdded.Time
	}
	shortest := int64(-1)
	for _, t := range device.Tolerations {
		if t.Effect != resourcev1.DeviceTaintEffectNoExecute || !resourceclaim.ToleratesTaint(t, *taint) {
			continue
		}
		if t.TolerationSeconds == nil {
			return time.Time{}, false
		}
		if seconds := max(0, *t.TolerationSeconds); shortest < 0 || seconds < shortest {
			shortest = seconds
		}
	}
	return since.Add(time.Duration(max(0, shortest)) * time.Second), true
}

// taintsOf are the taints of a device that evict: its own and those of rules.
func taintsOf(s *projections.Snapshot, device *resourcev1.DeviceRequestAllocationResult) []resourcev1.DeviceTaint {
	var out []resourcev1.DeviceTaint
	newest := int64(-1)
	for slice := range projections.List[*resourcev1.ResourceSlice](s, "resource.k8s.io", "resourceslices", "") {
		generation := slice.Spec.Pool.Generation
		if !of(slice, device) || generation < newest {
			continue
		}
		if generation > newest {
			newest, out = generation, nil
		}
		out = append(out, sliceTaints(slice)[device.Device]...)
	}
	for rule := range projections.List[*resourcev1.DeviceTaintRule](s, "resource.k8s.io", "devicetaintrules", "") {
		if concerns(rule, device) {
			out = append(out, rule.Spec.Taint)
		}
	}
	return out
}

func isTarget(c corev1.PodCondition) bool { return c.Type == corev1.DisruptionTarget }

func isMarked(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return isTarget(c) && c.Status == corev1.ConditionTrue && c.Reason == marked
	})
}

// mark is the pod as the target of a disruption.
func mark(pod *corev1.Pod, now time.Time) *corev1.Pod {
	changed := pod.DeepCopy()
	changed.Status.Conditions = append(slices.DeleteFunc(changed.Status.Conditions, isTarget), corev1.PodCondition{
		Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: marked,
		Message: "Device Taint manager: deleting due to NoExecute taint", LastTransitionTime: metav1.NewTime(now.Truncate(time.Second)),
	})
	return changed
}
