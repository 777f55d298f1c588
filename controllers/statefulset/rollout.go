package statefulset

import (
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/reckon-project/reckon/controllers"
)

// rollOut deletes pods that aren't of the update's revision, from the highest
// ordinal down to the partition, as long as no more than maxUnavailable are
// missing. A Parallel set begins with those that don't serve anyway.
func (p *pass) rollOut() {
	if p.set.Spec.UpdateStrategy.Type != appsv1.RollingUpdateStatefulSetStrategyType {
		return
	}
	partition, budget := 0, 1
	if r := p.set.Spec.UpdateStrategy.RollingUpdate; r != nil {
		if r.Partition != nil {
			partition = int(*r.Partition)
		}
		budget = maxUnavailable(r.MaxUnavailable, len(p.replicas))
	}
	for _, r := range p.replicas {
		if r.pod == nil || !p.serves(r) {
			budget--
		}
	}
	var serving []*replica
	for _, r := range slices.Backward(p.replicas[min(partition, len(p.replicas)):]) {
		switch {
		case r.pod == nil || r.terminating() || r.revision() == p.update:
		case p.ordered || p.available(r):
			serving = append(serving, r)
		default:
			p.replace(r)
		}
	}
	for _, r := range serving[:min(max(budget, 0), len(serving))] {
		p.replace(r)
	}
}

// replace deletes a pod so that it is made anew.
func (p *pass) replace(r *replica) {
	if controllers.Finished(r.pod) {
		return // it is deleted already
	}
	if r.revision() == p.current {
		p.leaving++
	}
	p.delete(r)
}

// maxUnavailable in pods, at least one.
func maxUnavailable(n *intstr.IntOrString, replicas int) int {
	most, err := intstr.GetScaledValueFromIntOrPercent(intstr.ValueOrDefault(n, intstr.FromInt32(1)), replicas, false)
	if err != nil {
		return 1
	}
	return max(most, 1)
}
