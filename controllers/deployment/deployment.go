package deployment

import (
	"context"
	"maps"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/revision"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

var kind = controllers.Selecting{Kind: controllers.Deployment, Selector: func(o *events.Object) *metav1.LabelSelector {
	d, ok := o.Value.(*appsv1.Deployment)
	if !ok {
		return nil
	}
	return d.Spec.Selector
}}

// New makes the controller.
func New() *controllers.Controller {
	return controllers.New("deployment-controller").
		For("apps", "deployments").
		Watches("apps", "replicasets", kind.OfChild).
		Watches("", "pods", podGone).
		Writes(events.Progressed).
		Reconcile(reconcile)
}

// podGone maps the end of a pod to its deployment: Recreate waits for the last.
func podGone(s *projections.Snapshot, c projections.Change, add func(events.Key)) {
	if c.New != nil || c.Old == nil {
		return
	}
	key, uid, ok := controllers.ReplicaSet.ControllerOf(c.Old)
	if !ok {
		return
	}
	if rs := s.Get(key); rs.Exists() && string(rs.Meta().GetUID()) == uid {
		if owner, _, ok := controllers.Deployment.ControllerOf(rs); ok {
			if d, ok := projections.Get[*appsv1.Deployment](s, owner); ok && d.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType {
				add(owner)
			}
		}
	}
}

// rollout is one deployment with its replica sets, at one snapshot.
type rollout struct {
	ctx    context.Context
	s      *projections.Snapshot
	object *events.Object
	d      *appsv1.Deployment
	all    []*replicaSet // by creation, oldest first
	new    *replicaSet   // of the deployment's template; nil if there is none yet
	old    []*replicaSet // all but new
}

// replicaSet is a replica set and what is decided about it.
type replicaSet struct {
	object *events.Object
	*appsv1.ReplicaSet
}

func (r *replicaSet) replicas() int32 { return *r.Spec.Replicas }

// available is how many pods serve, as far as it is known: a status that lags
// behind a smaller spec counts pods that are to go.
func (r *replicaSet) available() int32 { return min(r.Status.AvailableReplicas, r.replicas()) }

func reconcile(ctx context.Context, s *projections.Snapshot, key events.Key) (controllers.Result, error) {
	o := s.Get(key)
	if key.Resource == "replicasets" {
		return controllers.Do(kind.Adopt(s, o)...), nil
	}
	if !o.Exists() {
		return controllers.Result{}, nil
	}
	d := o.Value.(*appsv1.Deployment)
	selector, err := controllers.Compile(d.Spec.Selector)
	if err != nil || selector.Empty() {
		return controllers.Result{}, err
	}
	matching, strangers := kind.Children(s, o, controllers.ReplicaSet, selector)
	var settle []controllers.Intent
	if d.DeletionTimestamp == nil {
		for _, rs := range strangers {
			settle = append(settle, kind.Release(o, rs))
		}
		if d.Status.ObservedGeneration == 0 {
			for _, rs := range kind.Orphans(s, o, controllers.ReplicaSet, selector) {
				settle = append(settle, kind.AdoptInto(o, rs))
			}
		}
	}
	if len(settle) > 0 {
		return controllers.Do(settle...), nil
	}
	r := newRollout(ctx, s, o, d, matching)
	if d.DeletionTimestamp != nil {
		return r.progressed(controllers.Result{}, r.status()), nil
	}
	return r.decide()
}

func newRollout(ctx context.Context, s *projections.Snapshot, o *events.Object, d *appsv1.Deployment, objects []*events.Object) *rollout {
	r := &rollout{ctx: ctx, s: s, object: o, d: d}
	for _, rs := range objects {
		r.all = append(r.all, &replicaSet{rs, rs.Value.(*appsv1.ReplicaSet)})
	}
	slices.SortStableFunc(r.all, func(a, b *replicaSet) int {
		return a.CreationTimestamp.Compare(b.CreationTimestamp.Time)
	})
	for _, rs := range r.all {
		if r.new == nil && sameTemplate(&rs.Spec.Template, &d.Spec.Template) {
			r.new = rs
		} else {
			r.old = append(r.old, rs)
		}
	}
	return r
}

// decide gives the next step of the rollout; steps that depend on each other's
// outcome are left to the reconciles that follow.
func (r *rollout) decide() (controllers.Result, error) {
	if paused := r.pausedCondition(); paused != nil {
		return r.progressed(controllers.Result{}, *paused), nil
	}
	if i, ok := r.numberRevision(); ok {
		return controllers.Do(i...), nil
	}
	if to, ok := r.rollbackTo(); ok && !r.d.Spec.Paused {
		return controllers.Do(r.rollback(to)), nil
	}
	var steps []controllers.Intent
	switch {
	case r.d.Spec.Paused || r.wasScaled():
		steps = r.scaleAll()
		if r.d.Spec.Paused && len(steps) == 0 {
			steps = r.cleanUp()
		}
	case r.d.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType:
		steps = r.recreate()
	default:
		steps = r.rollingUpdate()
	}
	result := controllers.Result{Intents: steps}
	if collided := r.collided(steps); collided != nil {
		return r.progressed(controllers.Result{}, *collided), nil
	}
	status, wait := r.rolloutStatus(steps)
	result.RequeueAfter = wait
	if result = r.progressed(result, status); r.refused(steps) != "" && result.Intents[0].Verb == controllers.VerbAppend {
		result.Intents[0] = result.Intents[0].Because(createError, "%s", r.refused(steps))
	}
	return result, nil
}

// progressed adds the new status to a result if it differs.
func (r *rollout) progressed(result controllers.Result, status appsv1.DeploymentStatus) controllers.Result {
	if sameStatus(&r.d.Status, &status) {
		return result
	}
	updated := *r.d
	updated.Status = status
	result.Intents = append([]controllers.Intent{controllers.Progressed(r.object, &updated)}, result.Intents...)
	return result
}

// collided is the status after the wanted replica set's name turned out to be
// taken by another one: the next hash will differ.
func (r *rollout) collided(steps []controllers.Intent) *appsv1.DeploymentStatus {
	for _, i := range steps {
		if i.Verb != controllers.VerbCreate || !r.s.Get(i.Key).Exists() {
			continue
		}
		status := r.status()
		n := int32(0)
		if c := r.d.Status.CollisionCount; c != nil {
			n = *c
		}
		n++
		status.CollisionCount = &n
		return &status
	}
	return nil
}

// newReplicaSet is the replica set of the deployment's template.
func (r *rollout) newReplicaSet(replicas int32) controllers.Intent {
	d := r.d
	hash := revision.TemplateHash(&d.Spec.Template, d.Status.CollisionCount)
	template := *d.Spec.Template.DeepCopy()
	template.Labels = with(template.Labels, appsv1.DefaultDeploymentUniqueLabelKey, hash)
	selector := d.Spec.Selector.DeepCopy()
	selector.MatchLabels = with(selector.MatchLabels, appsv1.DefaultDeploymentUniqueLabelKey, hash)
	rs := &appsv1.ReplicaSet{
		TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "ReplicaSet"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: d.Namespace, Name: replicaSetName(d.Name, hash), Labels: maps.Clone(template.Labels),
			Annotations:     r.annotationsFor(nil, replicas, r.nextRevision()),
			OwnerReferences: []metav1.OwnerReference{controllers.Deployment.Ref(d)},
		},
		Spec: appsv1.ReplicaSetSpec{Replicas: &replicas, MinReadySeconds: d.Spec.MinReadySeconds, Selector: selector, Template: template},
	}
	return controllers.Create(controllers.ReplicaSet, rs).
		Because("ScalingReplicaSet", "Scaled up replica set %s from 0 to %d", rs.Name, replicas)
}

// scale changes a replica set's replicas, and its record of what they're part of.
func (r *rollout) scale(rs *replicaSet, replicas int32) controllers.Intent {
	changed := rs.DeepCopy()
	changed.Spec.Replicas = &replicas
	changed.Annotations = r.sizeAnnotations(changed.Annotations)
	i := controllers.Patch(rs.object, changed)
	switch {
	case replicas > rs.replicas():
		i = i.Because("ScalingReplicaSet", "Scaled up replica set %s from %d to %d", rs.Name, rs.replicas(), replicas)
	case replicas < rs.replicas():
		i = i.Because("ScalingReplicaSet", "Scaled down replica set %s from %d to %d", rs.Name, rs.replicas(), replicas)
	}
	return i
}

// replicaSetName leaves out what of a long name leaves no room for the hash.
func replicaSetName(deployment, hash string) string {
	return deployment[:min(len(deployment), validation.DNS1123SubdomainMaxLength-1-len(hash))] + "-" + hash
}

func with(m map[string]string, k, v string) map[string]string {
	out := make(map[string]string, len(m)+1)
	maps.Copy(out, m)
	out[k] = v
	return out
}
