package clusterrole_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/clusterrole"
	"github.com/reckon-project/reckon/controllers/controllertest"
)

const toView, toEdit = "rbac.authorization.k8s.io/aggregate-to-view", "rbac.authorization.k8s.io/aggregate-to-edit"

func role(name string, labels map[string]string, rules ...rbacv1.PolicyRule) *rbacv1.ClusterRole {
	return &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}, Rules: rules}
}

func aggregate(name string, labels map[string]string, of ...string) *rbacv1.ClusterRole {
	r := role(name, labels)
	r.AggregationRule = &rbacv1.AggregationRule{}
	for _, l := range of {
		r.AggregationRule.ClusterRoleSelectors = append(r.AggregationRule.ClusterRoleSelectors, metav1.LabelSelector{MatchLabels: map[string]string{l: "true"}})
	}
	return r
}

func allow(resource string, verbs ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{"example.com"}, Resources: []string{resource}, Verbs: verbs}
}

func TestAggregation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		w.Run(clusterrole.New())
		has := func(name string, want ...rbacv1.PolicyRule) {
			t.Helper()
			w.Settle()
			got := controllertest.Get[*rbacv1.ClusterRole](w, controllers.ClusterRole.Key("", name)).Rules
			if !slices.EqualFunc(got, want, func(a, b rbacv1.PolicyRule) bool { return fmt.Sprint(a) == fmt.Sprint(b) }) {
				t.Errorf("%s has %v, want %v", name, got, want)
			}
		}
		read, write := allow("cats", "get", "list"), allow("cats", "create")
		w.Create(controllers.ClusterRole, aggregate("view", map[string]string{toEdit: "true"}, toView))
		w.Create(controllers.ClusterRole, aggregate("edit", nil, toEdit, toView))
		has("view")

		// An operator brings its own; edit has view's through view and directly, once.
		w.Create(controllers.ClusterRole, role("cats-view", map[string]string{toView: "true"}, read))
		w.Create(controllers.ClusterRole, role("cats-edit", map[string]string{toEdit: "true"}, write, read))
		w.Create(controllers.ClusterRole, role("alone", nil, allow("dogs", "get")))
		has("view", read)
		has("edit", write, read)

		dogs := allow("dogs", "get")
		w.Patch(controllers.ClusterRole.Key("", "alone"), `{"metadata":{"labels":{%q:"true"}}}`, toView)
		has("view", dogs, read)
		has("edit", write, read, dogs)

		w.Patch(controllers.ClusterRole.Key("", "view"), `{"rules":[{"apiGroups":["*"],"resources":["*"],"verbs":["*"]}]}`)
		has("view", dogs, read)

		w.Delete(controllers.ClusterRole.Key("", "cats-view"), "")
		w.Patch(controllers.ClusterRole.Key("", "alone"), `{"metadata":{"labels":null}}`)
		has("view")
		has("edit", write, read)
	})
}

// A role that changes in nothing that is aggregated leads to nobody's reconcile,
// and what is right already isn't written again.
func TestNothingToDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		w.Run(clusterrole.New())
		w.Create(controllers.ClusterRole, aggregate("view", nil, toView))
		w.Create(controllers.ClusterRole, role("part", map[string]string{toView: "true"}, allow("cats", "get")))
		w.Settle()
		before := w.Snapshot().Position()
		w.Patch(controllers.ClusterRole.Key("", "part"), `{"metadata":{"annotations":{"a":"b"}}}`)
		w.Settle()
		if after := w.Snapshot().Position(); after != before+1 {
			t.Errorf("%d events followed, want none", after-before-1)
		}
	})
}
