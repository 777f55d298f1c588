package resourcequota

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// settle is how long what admission let in may take to get there.
const settle = time.Second

// A count is repeated at the soonest after quiet, and after quietPer for each
// object that was looked at.
const (
	quiet    = 100 * time.Millisecond
	quietPer = 100 * time.Microsecond
)

// New makes the controller. volatile (nil: there is none) has the Leases, which
// aren't in the log.
func New(volatile *projections.Projection) *controllers.Controller {
	q := &quotas{volatile: volatile, raises: raises{raised: map[events.Key]raise{}}}
	return controllers.New("resourcequota-controller").
		Watches("", "resourcequotas", q.changed).
		Watches("*", "*", released).
		Writes(events.Progressed).
		Reconcile(q.reconcile)
}

type quotas struct {
	volatile *projections.Projection
	raises
}

func (q *quotas) reconcile(ctx context.Context, s *projections.Snapshot, key events.Key) (controllers.Result, error) {
	o := s.Get(key)
	quota, ok := valueOf(o)
	if !ok || quota.DeletionTimestamp != nil {
		return controllers.Result{}, nil
	}
	now := controllers.Now(ctx)
	unsettled := q.unsettled(o, quota, now)
	if unsettled > 0 && complete(quota) {
		return controllers.Result{RequeueAfter: unsettled}, nil
	}
	c := counter{namespace: key.Namespace, now: now, scopes: scopesOf(&quota.Spec)}
	used, err := c.count(s, q.volatile, quota.Spec.Hard)
	if err != nil {
		return controllers.Result{}, err
	}
	if unsettled > 0 {
		for name, had := range quota.Status.Used {
			if n, ok := used[name]; ok && had.Cmp(n) > 0 {
				used[name] = had
			}
		}
	}
	result := controllers.Result{RequeueAfter: unsettled, Quiet: quiet + time.Duration(c.looked)*quietPer}
	if !c.until.IsZero() {
		if left := c.until.Sub(now) + time.Second; result.RequeueAfter == 0 || left < result.RequeueAfter {
			result.RequeueAfter = left
		}
	}
	if equal(quota.Status.Used, used) && apiequality.Semantic.DeepEqual(quota.Status.Hard, quota.Spec.Hard) {
		return result, nil
	}
	next := *quota
	next.Status = corev1.ResourceQuotaStatus{Hard: quota.Spec.Hard.DeepCopy(), Used: used}
	result.Intents = []controllers.Intent{controllers.Progressed(o, &next)}
	return result, nil
}

// complete reports a quota whose status has all that its spec asks for.
func complete(q *corev1.ResourceQuota) bool {
	if q.Status.Used == nil || !apiequality.Semantic.DeepEqual(q.Status.Hard, q.Spec.Hard) {
		return false
	}
	for name := range q.Spec.Hard {
		if _, ok := q.Status.Used[name]; !ok && len(sourcesOf(name)) > 0 {
			return false
		}
	}
	return true
}

func equal(a, b corev1.ResourceList) bool {
	if len(a) != len(b) {
		return false
	}
	for name, n := range a {
		if m, ok := b[name]; !ok || n.Cmp(m) != 0 {
			return false
		}
	}
	return true
}

func valueOf(o *events.Object) (*corev1.ResourceQuota, bool) {
	if !o.Exists() {
		return nil, false
	}
	q, ok := o.Value.(*corev1.ResourceQuota)
	return q, ok
}

func units(n int64) resource.Quantity { return *resource.NewQuantity(n, resource.DecimalSI) }
