package controllers

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"pgregory.net/rapid"
)

// A selector selects what it does when it is compiled, but nothing if it is empty.
func TestSelectsIsWhatTheCompiledSelectorSays(t *testing.T) {
	names, values := rapid.SampledFrom([]string{"a", "b", "c"}), rapid.SampledFrom([]string{"", "1", "2", "not valid!"})
	someLabels := rapid.MapOfN(names, values, 0, 3)
	operators := rapid.SampledFrom([]metav1.LabelSelectorOperator{"In", "NotIn", "Exists", "DoesNotExist", "Unknown"})
	rapid.Check(t, func(t *rapid.T) {
		selector := &metav1.LabelSelector{MatchLabels: someLabels.Draw(t, "labels")}
		for range rapid.IntRange(0, 2).Draw(t, "expressions") {
			e := metav1.LabelSelectorRequirement{Key: names.Draw(t, "key"), Operator: operators.Draw(t, "operator")}
			if e.Operator == "In" || e.Operator == "NotIn" {
				e.Values = rapid.SliceOfN(values, 0, 2).Draw(t, "values")
			}
			selector.MatchExpressions = append(selector.MatchExpressions, e)
		}
		set := labels.Set(someLabels.Draw(t, "object"))
		compiled, err := metav1.LabelSelectorAsSelector(selector)
		want := err == nil && !compiled.Empty() && compiled.Matches(set)
		if got := selects(selector, set); got != want {
			t.Fatalf("%v selects %v: %v, want %v (%v)", selector, set, got, want, err)
		}
	})
	if selects(nil, labels.Set{"a": "1"}) {
		t.Error("no selector selects something")
	}
}
