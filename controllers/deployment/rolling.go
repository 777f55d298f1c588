package deployment

import (
	"k8s.io/apimachinery/pkg/util/intstr"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/reckon-project/reckon/controllers"
)

// limits gives maxSurge and maxUnavailable in pods. They are never both 0.
func limits(d *appsv1.Deployment) (surge, unavailable int32) {
	if d.Spec.Strategy.Type != appsv1.RollingUpdateDeploymentStrategyType || *d.Spec.Replicas == 0 {
		return 0, 0
	}
	total := int(*d.Spec.Replicas)
	if u := d.Spec.Strategy.RollingUpdate; u != nil {
		surge, unavailable = portion(u.MaxSurge, total, true), portion(u.MaxUnavailable, total, false)
	}
	if surge == 0 && unavailable == 0 {
		unavailable = 1
	}
	return surge, min(unavailable, *d.Spec.Replicas)
}

func portion(p *intstr.IntOrString, total int, roundUp bool) int32 {
	n, err := intstr.GetScaledValueFromIntOrPercent(intstr.ValueOrDefault(p, intstr.FromInt32(0)), total, roundUp)
	if err != nil {
		return 0
	}
	return int32(n)
}

// rollingUpdate first makes room for new pods, then takes old ones away as the
// new become available.
func (r *rollout) rollingUpdate() []controllers.Intent {
	want := r.newSize()
	if r.new == nil {
		return []controllers.Intent{r.newReplicaSet(want)}
	}
	if want != r.new.replicas() {
		return []controllers.Intent{r.scale(r.new, want)}
	}
	if steps := r.shrinkOld(); len(steps) > 0 {
		return steps
	}
	return r.cleanUp()
}

// newSize is how large the new replica set may be now.
func (r *rollout) newSize() int32 {
	replicas := *r.d.Spec.Replicas
	if r.d.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType {
		return replicas
	}
	have := int32(0)
	if r.new != nil {
		have = r.new.replicas()
	}
	if have > replicas {
		return replicas
	}
	surge, _ := limits(r.d)
	room := replicas + surge - sum(r.all, (*replicaSet).replicas)
	return have + max(0, min(room, replicas-have))
}

// shrinkOld takes away old pods: first those that don't serve, then as many as
// can be missed.
func (r *rollout) shrinkOld() []controllers.Intent {
	_, unavailable := limits(r.d)
	least := *r.d.Spec.Replicas - unavailable
	// All pods but the least that must serve and the new that don't serve yet.
	budget := sum(r.all, (*replicaSet).replicas) - least - (r.new.replicas() - r.new.available())
	if sum(r.old, (*replicaSet).replicas) == 0 || budget <= 0 {
		return nil
	}
	sizes := map[*replicaSet]int32{}
	for _, rs := range r.old {
		broken := min(budget, rs.replicas()-rs.available())
		sizes[rs] = rs.replicas() - broken
		budget -= broken
	}
	spare := min(budget, sum(r.all, (*replicaSet).available)-least)
	for _, rs := range r.old {
		n := min(max(spare, 0), sizes[rs])
		sizes[rs] -= n
		spare -= n
	}
	var steps []controllers.Intent
	for _, rs := range r.old {
		if sizes[rs] != rs.replicas() {
			steps = append(steps, r.scale(rs, sizes[rs]))
		}
	}
	return steps
}

func sum(sets []*replicaSet, f func(*replicaSet) int32) int32 {
	n := int32(0)
	for _, rs := range sets {
		n += f(rs)
	}
	return n
}
