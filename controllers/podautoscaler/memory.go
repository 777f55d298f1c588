package podautoscaler

import (
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/types"

	"github.com/reckon-project/reckon/events"
)

// memory is what is remembered of one autoscaler from look to look. Only the
// worker that reconciles it uses it.
type memory struct {
	uid             types.UID
	recommendations []stamped
	ups, downs      []stamped // changes of the replicas, all above zero
	rescale         *rescale  // under way
}

// stamped is a number of replicas and when it was noted.
type stamped struct {
	n  int32
	at time.Time
}

// rescale is a write to the target's scale that was asked for.
type rescale struct {
	from, to int32
	why      string
	version  uint64 // of the target that it was decided on
	status   autoscalingv2.HorizontalPodAutoscalerStatus

	told  bool // status was written with steps
	steps []events.Step
}

// begin counts the size that the target has at first as a recommendation.
func (m *memory) begin(replicas int32, now time.Time) {
	if m.recommendations == nil {
		m.recommendations = []stamped{{replicas, now}}
	}
}

// recommend notes a recommendation, and forgets those of before oldest.
func (m *memory) recommend(n int32, now, oldest time.Time) {
	m.recommendations = append(since(m.recommendations, oldest), stamped{n, now})
}

// scaled notes a rescale, for policies that look back.
func (m *memory) scaled(b *autoscalingv2.HorizontalPodAutoscalerBehavior, from, to int32, now time.Time) {
	switch {
	case b == nil:
	case to > from:
		m.ups = append(since(m.ups, now.Add(-longest(b.ScaleUp))), stamped{to - from, now})
	default:
		m.downs = append(since(m.downs, now.Add(-longest(b.ScaleDown))), stamped{from - to, now})
	}
}

// since drops what is older than a time.
func since(list []stamped, oldest time.Time) []stamped {
	kept := list[:0]
	for _, x := range list {
		if !x.at.Before(oldest) {
			kept = append(kept, x)
		}
	}
	return kept
}

// longest is the longest period of the policies.
func longest(r *autoscalingv2.HPAScalingRules) time.Duration {
	var out time.Duration
	if r != nil {
		for _, p := range r.Policies {
			out = max(out, time.Duration(p.PeriodSeconds)*time.Second)
		}
	}
	return out
}

// within sums up the changes of a policy's period.
func within(list []stamped, periodSeconds int32, now time.Time) int32 {
	var sum int32
	for _, x := range list {
		if x.at.After(now.Add(-time.Duration(periodSeconds) * time.Second)) {
			sum += x.n
		}
	}
	return sum
}
