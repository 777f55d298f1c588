package deployment

import (
	"cmp"
	"math"
	"slices"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/reckon-project/reckon/controllers"
)

// wasScaled reports that a replica set was sized for another number of replicas.
func (r *rollout) wasScaled() bool {
	for _, rs := range r.all {
		if rs.replicas() == 0 {
			continue
		}
		if n, ok := number(rs.Annotations, desiredAnnotation); ok && n != *r.d.Spec.Replicas {
			return true
		}
	}
	return false
}

func number(annotations map[string]string, name string) (int32, bool) {
	n, err := strconv.ParseInt(annotations[name], 10, 32)
	return int32(n), err == nil
}

// scaleAll brings the replica sets to the deployment's size without moving the
// rollout on: in the middle of one each gets its share.
func (r *rollout) scaleAll() []controllers.Intent {
	var active []*replicaSet
	for _, rs := range r.all {
		if rs.replicas() > 0 {
			active = append(active, rs)
		}
	}
	if len(active) <= 1 {
		only := r.new
		switch {
		case len(active) == 1:
			only = active[0]
		case only == nil && len(r.old) > 0:
			only = r.old[len(r.old)-1]
		case only == nil:
			return nil
		}
		return r.resize(only, *r.d.Spec.Replicas)
	}
	if r.saturated() {
		var steps []controllers.Intent
		for _, rs := range r.old {
			if rs.replicas() > 0 {
				steps = append(steps, r.scale(rs, 0))
			}
		}
		return steps
	}
	if r.d.Spec.Strategy.Type != appsv1.RollingUpdateDeploymentStrategyType {
		return nil
	}
	return r.share(active)
}

// saturated: the new replica set has all pods, and they serve.
func (r *rollout) saturated() bool {
	if r.new == nil {
		return false
	}
	n := *r.d.Spec.Replicas
	desired, ok := number(r.new.Annotations, desiredAnnotation)
	return ok && desired == n && r.new.replicas() == n && r.new.Status.AvailableReplicas == n
}

// resize is scale unless nothing changes.
func (r *rollout) resize(rs *replicaSet, replicas int32) []controllers.Intent {
	desired, ok := number(rs.Annotations, desiredAnnotation)
	if rs.replicas() == replicas && (!ok || desired == *r.d.Spec.Replicas) {
		return nil
	}
	return []controllers.Intent{r.scale(rs, replicas)}
}

// share spreads the difference to the allowed size over the active replica
// sets in proportion to their sizes; what rounding leaves goes to the largest.
func (r *rollout) share(active []*replicaSet) []controllers.Intent {
	allowed := int32(0)
	if *r.d.Spec.Replicas > 0 {
		surge, _ := limits(r.d)
		allowed = *r.d.Spec.Replicas + surge
	}
	add := allowed - sum(active, (*replicaSet).replicas)
	slices.SortStableFunc(active, func(a, b *replicaSet) int {
		newest := b.CreationTimestamp.Compare(a.CreationTimestamp.Time)
		if add < 0 {
			newest = -newest
		}
		return cmp.Or(cmp.Compare(b.replicas(), a.replicas()), newest)
	})
	sizes := make([]int32, len(active))
	left := add
	for i, rs := range active {
		part := int32(0)
		switch {
		case left > 0 && add > 0:
			part = min(r.proportion(rs, allowed), left)
		case left < 0 && add < 0:
			part = max(r.proportion(rs, allowed), left)
		}
		sizes[i] = rs.replicas() + part
		left -= part
	}
	var steps []controllers.Intent
	for i, rs := range active {
		if i == 0 {
			sizes[i] = max(0, sizes[i]+left)
		}
		steps = append(steps, r.resize(rs, sizes[i])...)
	}
	return steps
}

// proportion is by how much a replica set grows when the allowed size does.
func (r *rollout) proportion(rs *replicaSet, allowed int32) int32 {
	if *r.d.Spec.Replicas == 0 {
		return -rs.replicas()
	}
	was, ok := number(rs.Annotations, maxAnnotation)
	if !ok || was == 0 {
		was = r.d.Status.Replicas // the annotation was tampered with
	}
	if was == 0 {
		return 0
	}
	return int32(math.Round(float64(rs.replicas())*float64(allowed)/float64(was))) - rs.replicas()
}
