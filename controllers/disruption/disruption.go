package disruption

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// deletionTimeout is how long an allowed eviction counts though the pod isn't
// being deleted.
const deletionTimeout = 2 * time.Minute

// quietPerPod is how long a reconcile keeps the next one off, per pod looked at.
const quietPerPod = 5 * time.Microsecond

// New makes the controller.
func New() *controllers.Controller {
	return controllers.New("disruption-controller").
		For("policy", "poddisruptionbudgets").
		Watches("", "pods", podChanged).
		Writes(events.Progressed).
		Reconcile(reconcile)
}

// podChanged maps a pod's change to the budgets that select it, and to itself if
// it is marked as a disruption's target.
func podChanged(s *projections.Snapshot, c projections.Change, add func(events.Key)) {
	was, is := podOf(c.Old), podOf(c.New)
	if is != nil && isTarget(is) {
		add(c.New.Key)
	}
	if was != nil && is != nil && c.Event != nil && c.Event.Prefix == events.PrefixFact && ready(was) == ready(is) {
		return
	}
	several := 0
	for o := range s.List("policy", "poddisruptionbudgets", controllers.KeyOf(c).Namespace) {
		pdb, ok := o.Value.(*policyv1.PodDisruptionBudget)
		if !ok {
			continue
		}
		mine := is != nil && selects(pdb, is)
		if mine {
			several++
		}
		if mine || was != nil && selects(pdb, was) {
			add(o.Key)
		}
	}
	if several > 1 && was == nil && c.Event != nil {
		add(c.New.Key) // it is told, once
	}
}

func podOf(o *events.Object) *corev1.Pod {
	if !o.Exists() {
		return nil
	}
	pod, _ := o.Value.(*corev1.Pod)
	return pod
}

// selects reports whether a budget is about a pod; one without a selector is
// about none, one with an empty selector about all.
func selects(pdb *policyv1.PodDisruptionBudget, pod *corev1.Pod) bool {
	selector := pdb.Spec.Selector
	if selector == nil {
		return false
	}
	for k, v := range selector.MatchLabels {
		if has, ok := pod.Labels[k]; !ok || has != v {
			return false
		}
	}
	if len(selector.MatchExpressions) == 0 {
		return true
	}
	whole, err := controllers.Compile(selector)
	return err == nil && whole.Matches(labels.Set(pod.Labels))
}

func reconcile(ctx context.Context, s *projections.Snapshot, key events.Key) (controllers.Result, error) {
	o := s.Get(key)
	if !o.Exists() {
		return controllers.Result{}, nil
	}
	now := controllers.Now(ctx)
	switch v := o.Value.(type) {
	case *corev1.Pod:
		result := unmark(o, v, now)
		result.Intents = append(result.Intents, tellSeveral(s, o, v, now)...)
		return result, nil
	case *policyv1.PodDisruptionBudget:
		return budget(s, o, v, now), nil
	}
	return controllers.Result{}, nil
}

// budget writes the status of a budget.
func budget(s *projections.Snapshot, o *events.Object, pdb *policyv1.PodDisruptionBudget, now time.Time) controllers.Result {
	var pods []*corev1.Pod
	looked := 0
	for pod := range projections.List[*corev1.Pod](s, "", "pods", pdb.Namespace) {
		looked++
		if selects(pdb, pod) {
			pods = append(pods, pod)
		}
	}
	result := controllers.Result{Quiet: time.Duration(looked) * quietPerPod}
	want, err := expect(s, pdb, pods)
	var status policyv1.PodDisruptionBudgetStatus
	if err != nil {
		status = failed(pdb, err, now)
	} else {
		status, result.RequeueAfter = counted(pdb, pods, want, now)
	}
	if apiequality.Semantic.DeepEqual(pdb.Status, status) {
		return result
	}
	changed := *pdb
	changed.Status = status
	intent := controllers.Progressed(o, &changed)
	switch {
	case err != nil:
		intent = intent.Because("CalculateExpectedPodCountFailed", "Failed to calculate the number of expected pods: %v", err)
	case len(pods) == 0:
		intent = intent.Because("NoPods", "No matching pods found")
	case want.unmanaged:
		intent = intent.Because("UnmanagedPods", "Pods selected by this PodDisruptionBudget (selector: %v) were found to be unmanaged. "+
			"As a result, the status of the PDB cannot be calculated correctly, which may result in undefined behavior. "+
			"To account for these pods please set \".spec.minAvailable\" field of the PDB to an integer value.", pdb.Spec.Selector)
	}
	result.Intents = append([]controllers.Intent{intent}, tellNotDeleted(s, pdb, pods, status.DisruptedPods)...)
	return result
}
