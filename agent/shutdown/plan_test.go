package shutdown_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/agent/shutdown"
)

func TestPlan(t *testing.T) {
	var pods []*v1.Pod
	for name, priority := range map[string]int32{"low": -5, "usual": 0, "high": 1000, "system": 2000001000} {
		grace := int64(20)
		pods = append(pods, &v1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1.PodSpec{Priority: &priority, TerminationGracePeriodSeconds: &grace}})
	}
	for _, c := range []struct {
		periods []shutdown.Period
		want    string
	}{
		{shutdown.Periods(0, 0), ""},
		{shutdown.Periods(30*time.Second, 10*time.Second), "20s: high low usual (20s); 10s: system (10s)"},
		{[]shutdown.Period{{Priority: 100, Grace: time.Minute}, {Priority: 0, Grace: time.Second}}, "1s: low usual (1s); 1m0s: high system (20s)"},
	} {
		var lines []string
		for _, g := range shutdown.Plan(c.periods, pods) {
			var names []string
			for _, p := range g.Pods {
				names = append(names, p.Name)
			}
			slices.Sort(names)
			lines = append(lines, fmt.Sprintf("%s: %s (%s)", g.Grace, strings.Join(names, " "), g.GraceOf(g.Pods[0])))
		}
		if got := strings.Join(lines, "; "); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}
