package clusterrole

import (
	"context"
	"fmt"

	rbacv1 "k8s.io/api/rbac/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// New makes the controller.
func New() *controllers.Controller {
	return controllers.New("clusterrole-aggregation-controller").
		Watches(controllers.ClusterRole.Group, controllers.ClusterRole.Resource, changed).
		Reconcile(reconcile)
}

// changed maps a changed role to itself, if it aggregates, and to those that it
// is or was part of.
func changed(s *projections.Snapshot, c projections.Change, add func(events.Key)) {
	before, _ := valueOf(c.Old)
	after, _ := valueOf(c.New)
	if after != nil && after.AggregationRule != nil {
		add(c.New.Key)
	}
	if before != nil && after != nil &&
		apiequality.Semantic.DeepEqual(before.Rules, after.Rules) && apiequality.Semantic.DeepEqual(before.Labels, after.Labels) {
		return
	}
	for role := range projections.List[*rbacv1.ClusterRole](s, controllers.ClusterRole.Group, controllers.ClusterRole.Resource, "") {
		if role.AggregationRule == nil {
			continue
		}
		for i := range role.AggregationRule.ClusterRoleSelectors {
			selector, err := metav1.LabelSelectorAsSelector(&role.AggregationRule.ClusterRoleSelectors[i])
			if err != nil {
				continue
			}
			if before != nil && selector.Matches(labels.Set(before.Labels)) || after != nil && selector.Matches(labels.Set(after.Labels)) {
				add(controllers.ClusterRole.Key("", role.Name))
				break
			}
		}
	}
}

func valueOf(o *events.Object) (*rbacv1.ClusterRole, bool) {
	if !o.Exists() {
		return nil, false
	}
	role, ok := o.Value.(*rbacv1.ClusterRole)
	return role, ok
}

func reconcile(_ context.Context, s *projections.Snapshot, key events.Key) (controllers.Result, error) {
	o := s.Get(key)
	role, ok := valueOf(o)
	if !ok || role.AggregationRule == nil || role.DeletionTimestamp != nil {
		return controllers.Result{}, nil
	}
	rules, err := aggregated(s, role)
	if err != nil {
		return controllers.Result{}, err
	}
	if apiequality.Semantic.DeepEqual(rules, role.Rules) {
		return controllers.Result{}, nil
	}
	next := *role
	next.Rules = rules
	return controllers.Do(controllers.Patch(o, &next)), nil
}

// aggregated gives the rules of all roles that role's selectors match.
func aggregated(s *projections.Snapshot, role *rbacv1.ClusterRole) ([]rbacv1.PolicyRule, error) {
	rules := []rbacv1.PolicyRule{}
	for i := range role.AggregationRule.ClusterRoleSelectors {
		selector, err := metav1.LabelSelectorAsSelector(&role.AggregationRule.ClusterRoleSelectors[i])
		if err != nil {
			return nil, fmt.Errorf("%w: aggregation rule of cluster role %s: %w", events.ErrInvalid, role.Name, err)
		}
		for part := range projections.List[*rbacv1.ClusterRole](s, controllers.ClusterRole.Group, controllers.ClusterRole.Resource, "") {
			if part.Name == role.Name || !selector.Matches(labels.Set(part.Labels)) {
				continue
			}
			for _, rule := range part.Rules {
				if !contains(rules, rule) {
					rules = append(rules, rule)
				}
			}
		}
	}
	return rules, nil
}

func contains(rules []rbacv1.PolicyRule, rule rbacv1.PolicyRule) bool {
	for i := range rules {
		if apiequality.Semantic.DeepEqual(rules[i], rule) {
			return true
		}
	}
	return false
}
