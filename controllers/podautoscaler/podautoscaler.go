package podautoscaler

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// Account is the service account that the controller acts as.
const Account = "horizontal-pod-autoscaler"

// What Kubernetes' controller manager has by default.
const (
	period           = 15 * time.Second // between two looks at an autoscaler
	tolerance        = 0.1
	downWindow       = 5 * time.Minute
	cpuStartUp       = 5 * time.Minute  // when CPU samples of a new pod may be left out
	initialReadiness = 30 * time.Second // in which a pod's readiness counts as its first
)

// New makes the controller; metrics are read through api (nil: none can be had).
func New(api http.RoundTripper, clock func() time.Time) *controllers.Controller {
	a := autoscaler{newGauges(api, clock)}
	return controllers.New(Account).
		Watches(controllers.HorizontalPodAutoscaler.Group, controllers.HorizontalPodAutoscaler.Resource, specChanged).
		Source(a.gauges.run).
		Writes(events.Progressed).
		Reconcile(a.reconcile)
}

// specChanged maps an autoscaler to itself unless only its status changed.
func specChanged(_ *projections.Snapshot, c projections.Change, add func(events.Key)) {
	if c.Old.Exists() && c.New.Exists() && c.Old.Meta().GetUID() == c.New.Meta().GetUID() {
		o, ok := c.Old.Value.(*autoscalingv2.HorizontalPodAutoscaler)
		n, same := c.New.Value.(*autoscalingv2.HorizontalPodAutoscaler)
		if ok && same && apiequality.Semantic.DeepEqual(o.Spec, n.Spec) {
			return
		}
	}
	add(controllers.KeyOf(c))
}

type autoscaler struct{ gauges *gauges }

func (a autoscaler) reconcile(ctx context.Context, s *projections.Snapshot, key events.Key) (controllers.Result, error) {
	o := s.Get(key)
	if !o.Exists() || o.Meta().GetDeletionTimestamp() != nil {
		a.gauges.forget(key)
		return controllers.Result{}, nil
	}
	was, ok := o.Value.(*autoscalingv2.HorizontalPodAutoscaler)
	if !ok {
		return controllers.Result{}, fmt.Errorf("%w: %s is a %T", events.ErrInvalid, key, o.Value)
	}
	l := look{
		s: s, o: o, was: was, hpa: was.DeepCopy(), now: controllers.Now(ctx),
		memory: a.gauges.memoryOf(key, was.UID), gauges: a.gauges,
	}
	if l.memory.rescale != nil {
		if result, done := l.follow(controllers.Failure(ctx)); !done {
			return result, nil
		}
	}
	l.target, l.err = findTarget(s, key.Namespace, was.Spec.ScaleTargetRef)
	l.plan()
	l.round = a.gauges.take(key, was.UID, was.Spec, l.questions)
	if l.round == nil {
		return controllers.Result{}, nil // the gauges come back with answers
	}
	return l.decide()
}

// look is one look at an autoscaler.
type look struct {
	s      *projections.Snapshot
	o      *events.Object
	was    *autoscalingv2.HorizontalPodAutoscaler
	hpa    *autoscalingv2.HorizontalPodAutoscaler // its status becomes the new one
	now    time.Time
	memory *memory
	gauges *gauges

	target    *target // nil: err says why there is none
	err       error
	measure   bool // the metrics are needed
	questions []question
	round     *round

	steps []events.Step // what is told with the status
}

// minimum is the least number of replicas that the autoscaler asks for.
func (l *look) minimum() int32 {
	if m := l.was.Spec.MinReplicas; m != nil {
		return *m
	}
	return 1
}

// plan says what has to be known before anything can be decided.
func (l *look) plan() {
	if l.target == nil {
		return
	}
	switch n := l.target.replicas; {
	case n == 0:
		scaledToZero := l.scaledToZero()
		l.measure = scaledToZero && (l.minimum() != 0 || l.hasOuterMetric())
	case n > l.was.Spec.MaxReplicas || n < l.minimum():
	default:
		l.measure = true
	}
	if l.measure && l.target.selector != "" {
		l.questions = questionsOf(l.s, l.was, l.target)
	}
}

// decide is the whole of what follows from a round of answers.
func (l *look) decide() (controllers.Result, error) {
	if l.target == nil {
		l.tell("FailedGetScale", l.err.Error())
		l.condition(autoscalingv2.AbleToScale, corev1.ConditionFalse, "FailedGetScale", "the HPA controller was unable to get the target's current scale: %v", l.err)
		return l.write(), nil
	}
	l.condition(autoscalingv2.AbleToScale, corev1.ConditionTrue, "SucceededGetScale", "the HPA controller was able to get the target's current scale")
	current, minimum := l.target.replicas, l.minimum()
	l.memory.begin(current, l.now)
	desired, why := current, ""
	var measured []autoscalingv2.MetricStatus
	switch {
	case l.measure:
		var proposal int32
		var metric string
		var err error
		proposal, metric, measured, err = l.proposal()
		if err != nil && proposal < 0 {
			l.setStatus(current, l.was.Status.DesiredReplicas, measured)
			l.tell("FailedComputeMetricsReplicas", err.Error())
			return l.write(), nil
		}
		desired, why = l.limited(current, proposal, minimum, metric)
	case current == 0:
		l.condition(autoscalingv2.ScalingActive, corev1.ConditionFalse, "ScalingDisabled", "scaling is disabled since the replica count of the target is zero")
	case current > l.was.Spec.MaxReplicas:
		desired, why = l.was.Spec.MaxReplicas, "Current number of replicas above Spec.MaxReplicas"
	default:
		desired, why = minimum, "Current number of replicas below Spec.MinReplicas"
	}
	l.setStatus(current, desired, measured)
	if desired == current {
		return l.write(), nil
	}
	l.memory.rescale = &rescale{from: current, to: desired, why: why, status: *l.hpa.Status.DeepCopy(), version: l.target.object.Version}
	return controllers.Result{Intents: []controllers.Intent{l.target.scaleTo(desired)}, RequeueAfter: time.Millisecond}, nil
}

// limited brings a proposal within what the autoscaler allows, and says why
// there is something to scale.
func (l *look) limited(current, proposal, minimum int32, metric string) (desired int32, why string) {
	desired = max(proposal, 0)
	switch {
	case desired > current:
		why = fmt.Sprintf("%s above target", metric)
	case desired < current:
		why = "All metrics below target"
	}
	if l.was.Spec.Behavior == nil {
		desired = l.normalize(current, desired, minimum)
	} else {
		desired = l.normalizeByBehavior(current, desired, minimum)
	}
	if current == 0 && desired < minimum {
		desired = minimum
		if why == "" {
			why = "Current number of replicas below Spec.MinReplicas"
		}
	}
	return desired, why
}

// follow looks after a rescale that was asked for; done: there is nothing more
// to do about it.
func (l *look) follow(failure error) (result controllers.Result, done bool) {
	r := l.memory.rescale
	target, err := findTarget(l.s, l.was.Namespace, l.was.Spec.ScaleTargetRef)
	switch {
	case r.told:
		l.memory.rescale = nil
		if apiequality.Semantic.DeepEqual(l.was.Status, r.status) {
			return controllers.Result{}, true
		}
		l.hpa.Status = r.status // the write of it came to nothing
		l.steps = r.steps
		return l.write(), false
	case err != nil:
		l.memory.rescale = nil
		return controllers.Result{}, true
	case target.replicas == r.to && target.object.Version != r.version:
		l.hpa.Status = r.status
		l.rescaled(r)
	case failure != nil:
		l.hpa.Status = r.status
		l.hpa.Status.DesiredReplicas = l.was.Status.DesiredReplicas
		cause := text(failure)
		l.tell("FailedRescale", fmt.Sprintf("New size: %d; reason: %s; error: %s", r.to, r.why, cause))
		l.condition(autoscalingv2.AbleToScale, corev1.ConditionFalse, "FailedUpdateScale", "the HPA controller was unable to update the target scale: %s", cause)
	case target.replicas == r.from: // it changed meanwhile in another way
		r.version = target.object.Version
		return controllers.Result{Intents: []controllers.Intent{target.scaleTo(r.to)}, RequeueAfter: time.Millisecond}, false
	default: // somebody else scaled it
		l.memory.rescale = nil
		return controllers.Result{}, true
	}
	r.told, r.status, r.steps = true, *l.hpa.Status.DeepCopy(), l.steps
	return l.write(), false
}

// rescaled notes that the target has its new size.
func (l *look) rescaled(r *rescale) {
	l.condition(autoscalingv2.AbleToScale, corev1.ConditionTrue, "SucceededRescale", "the HPA controller was able to update the target scale to %d", r.to)
	l.tell("SuccessfulRescale", fmt.Sprintf("New size: %d; reason: %s", r.to, r.why))
	l.memory.scaled(l.was.Spec.Behavior, r.from, r.to, l.now)
	if r.from > 0 && r.to == 0 && l.minimum() == 0 && l.hasOuterMetric() {
		l.condition(autoscalingv2.ScaledToZero, corev1.ConditionTrue, "ScaledToZero", "the HPA controller scaled the workload to zero")
	} else {
		l.condition(autoscalingv2.ScaledToZero, corev1.ConditionFalse, "NotScaledToZero", "the HPA controller did not scale the workload to zero")
	}
	at := metav1.NewTime(l.now.Truncate(time.Second))
	l.hpa.Status.LastScaleTime = &at
}

// text is what went wrong as people want to read it.
func text(err error) string {
	var refused *controllers.APIError
	if errors.As(err, &refused) {
		return refused.Status.Message
	}
	return err.Error()
}
