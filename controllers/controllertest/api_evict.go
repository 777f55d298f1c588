package controllertest

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// Evict does what the eviction subresource does: it takes one disruption from the
// pod's budget, or refuses with 429, and deletes the pod.
func (a *API) Evict(ctx context.Context, k events.Key) error {
	for {
		s := a.Projection.Snapshot()
		pod, ok := projections.Get[*corev1.Pod](s, k)
		if !ok {
			return apierrors.NewNotFound(corev1.Resource("pods"), k.Name)
		}
		options := "{}"
		if counts(pod) {
			if budget := budgetOf(s, pod); budget != nil {
				pdb := budget.Value.(*policyv1.PodDisruptionBudget)
				spare := !isReady(pod) && (pdb.Spec.UnhealthyPodEvictionPolicy != nil && *pdb.Spec.UnhealthyPodEvictionPolicy == policyv1.AlwaysAllow ||
					pdb.Status.CurrentHealthy >= pdb.Status.DesiredHealthy && pdb.Status.DesiredHealthy > 0)
				if spare {
					options = `{"preconditions":{"resourceVersion":"` + strconv.FormatUint(s.Get(k).Version, 10) + `"}}`
				} else if err := a.take(ctx, budget, pdb, pod); errors.Is(err, errStale) {
					continue
				} else if err != nil {
					return err
				}
			}
		}
		req := write{user: "alice", method: http.MethodDelete, header: http.Header{}, key: k, body: []byte(options)}
		_, err := a.do(ctx, req)
		if apierrors.IsConflict(err) && options != "{}" {
			continue
		}
		return err
	}
}

var errStale = errors.New("the budget has changed")

// take writes one disruption less into the version of the budget that it was read in.
func (a *API) take(ctx context.Context, old *events.Object, pdb *policyv1.PodDisruptionBudget, pod *corev1.Pod) error {
	if pdb.Status.ObservedGeneration < pdb.Generation || pdb.Status.DisruptionsAllowed <= 0 {
		return apierrors.NewTooManyRequests("Cannot evict pod as it would violate the pod's disruption budget.", 0)
	}
	changed := pdb.DeepCopy()
	changed.Status.DisruptionsAllowed--
	disrupted := maps.Clone(pdb.Status.DisruptedPods)
	if disrupted == nil {
		disrupted = map[string]metav1.Time{}
	}
	disrupted[pod.Name] = metav1.NewTime(a.Clock())
	changed.Status.DisruptedPods = disrupted
	changed.ResourceVersion = old.Meta().GetResourceVersion()
	body, err := json.Marshal(changed)
	if err != nil {
		return err
	}
	_, err = a.do(ctx, write{user: "alice", method: http.MethodPut, header: http.Header{}, key: old.Key, subresource: "status", body: body})
	if apierrors.IsConflict(err) {
		return errStale
	}
	return err
}

// counts reports a pod whose eviction a budget may refuse.
func counts(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp == nil && pod.Status.Phase == corev1.PodRunning
}

func isReady(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

func budgetOf(s *projections.Snapshot, pod *corev1.Pod) *events.Object {
	kind := controllers.PodDisruptionBudget
	for o := range s.List(kind.Group, kind.Resource, pod.Namespace) {
		pdb, ok := o.Value.(*policyv1.PodDisruptionBudget)
		if !ok {
			continue
		}
		selector, err := metav1.LabelSelectorAsSelector(pdb.Spec.Selector)
		if err == nil && selector.Matches(labels.Set(pod.Labels)) {
			return o
		}
	}
	return nil
}
