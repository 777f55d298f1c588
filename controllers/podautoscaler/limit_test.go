package podautoscaler

import (
	"fmt"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"pgregory.net/rapid"
)

// steps lets an autoscaler look every 15 s at a target that is always scaled as
// it says, and gives the sizes.
func steps(h *autoscalingv2.HorizontalPodAutoscaler, current int32, proposals ...int32) (sizes []int32, l *look) {
	m := &memory{}
	m.begin(current, noon)
	for i, proposal := range proposals {
		l = &look{was: h, hpa: h.DeepCopy(), memory: m, now: noon.Add(time.Duration(i) * period)}
		next, _ := l.limited(current, proposal, l.minimum(), "m")
		if next != current {
			m.scaled(h.Spec.Behavior, current, next, l.now)
		}
		current = next
		sizes = append(sizes, current)
	}
	return sizes, l
}

func pods(n, seconds int32) autoscalingv2.HPAScalingPolicy {
	return autoscalingv2.HPAScalingPolicy{Type: autoscalingv2.PodsScalingPolicy, Value: n, PeriodSeconds: seconds}
}

func percent(n, seconds int32) autoscalingv2.HPAScalingPolicy {
	return autoscalingv2.HPAScalingPolicy{Type: autoscalingv2.PercentScalingPolicy, Value: n, PeriodSeconds: seconds}
}

func scaling(window int32, choose autoscalingv2.ScalingPolicySelect, policies ...autoscalingv2.HPAScalingPolicy) *autoscalingv2.HPAScalingRules {
	return &autoscalingv2.HPAScalingRules{StabilizationWindowSeconds: &window, SelectPolicy: &choose, Policies: policies}
}

func repeat(n int32, times int) (out []int32) {
	for range times {
		out = append(out, n)
	}
	return out
}

func TestLimits(t *testing.T) {
	const most, least, off = autoscalingv2.MaxChangePolicySelect, autoscalingv2.MinChangePolicySelect, autoscalingv2.DisabledPolicySelect
	for name, test := range map[string]struct {
		up, down  *autoscalingv2.HPAScalingRules
		minimum   int32
		maximum   int32
		current   int32
		proposals []int32
		want      string
		limited   string // ScalingLimited's reason at last
	}{
		"by default it doubles":            {maximum: 100, current: 3, proposals: repeat(90, 5), want: "[6 12 24 48 90]", limited: "DesiredWithinRange"},
		"by default at least to four":      {maximum: 100, current: 1, proposals: repeat(90, 2), want: "[4 8]", limited: "ScaleUpLimit"},
		"up to the maximum":                {maximum: 5, current: 4, proposals: repeat(90, 1), want: "[5]", limited: "TooManyReplicas"},
		"down to the minimum":              {minimum: 2, maximum: 5, current: 4, proposals: repeat(1, 22), want: "[4 4 4 4 4 4 4 4 4 4 4 4 4 4 4 4 4 4 4 4 4 2]", limited: "TooFewReplicas"},
		"a peak keeps it up":               {maximum: 9, current: 4, proposals: []int32{2, 7, 3}, want: "[4 7 7]", limited: "DesiredWithinRange"},
		"pods a minute":                    {up: scaling(0, most, pods(2, 60)), maximum: 100, current: 2, proposals: repeat(90, 6), want: "[4 4 4 4 6 6]", limited: "ScaleUpLimit"},
		"per cent a minute":                {up: scaling(0, most, percent(50, 60)), maximum: 100, current: 2, proposals: repeat(90, 9), want: "[3 3 3 3 5 5 5 5 8]", limited: "ScaleUpLimit"},
		"the larger change":                {up: scaling(0, most, pods(2, 15), percent(100, 15)), maximum: 100, current: 1, proposals: repeat(90, 3), want: "[3 6 12]", limited: "ScaleUpLimit"},
		"the smaller change":               {up: scaling(0, least, pods(2, 15), percent(100, 15)), maximum: 100, current: 1, proposals: repeat(90, 3), want: "[2 4 6]", limited: "ScaleUpLimit"},
		"never up":                         {up: scaling(0, off), maximum: 100, current: 3, proposals: repeat(90, 2), want: "[3 3]", limited: "ScaleUpLimit"},
		"up after a minute of it":          {up: scaling(60, most, pods(50, 15)), maximum: 100, current: 2, proposals: repeat(9, 6), want: "[2 2 2 2 9 9]", limited: "DesiredWithinRange"},
		"down one by one":                  {down: scaling(0, most, pods(1, 15)), maximum: 100, current: 5, proposals: repeat(1, 3), want: "[4 3 2]", limited: "ScaleDownLimit"},
		"down by half":                     {down: scaling(0, most, percent(50, 15)), minimum: 1, maximum: 100, current: 9, proposals: repeat(1, 4), want: "[4 2 1 1]", limited: "DesiredWithinRange"},
		"never down":                       {down: scaling(0, off), maximum: 100, current: 5, proposals: repeat(1, 2), want: "[5 5]", limited: "ScaleDownLimit"},
		"down at once":                     {down: scaling(0, most, percent(100, 15)), maximum: 100, current: 5, proposals: repeat(1, 1), want: "[1]", limited: "DesiredWithinRange"},
		"down after five minutes, if open": {down: &autoscalingv2.HPAScalingRules{Policies: []autoscalingv2.HPAScalingPolicy{percent(100, 15)}}, maximum: 100, current: 5, proposals: repeat(1, 20), want: "[5 5 5 5 5 5 5 5 5 5 5 5 5 5 5 5 5 5 5 5]", limited: "DesiredWithinRange"},
	} {
		t.Run(name, func(t *testing.T) {
			h := hpa(max(1, test.minimum), test.maximum)
			if test.up != nil || test.down != nil {
				h.Spec.Behavior = &autoscalingv2.HorizontalPodAutoscalerBehavior{ScaleUp: test.up, ScaleDown: test.down}
			}
			sizes, l := steps(h, test.current, test.proposals...)
			if got := fmt.Sprint(sizes); got != test.want {
				t.Errorf("sizes are %s, not %s", got, test.want)
			}
			for _, c := range l.hpa.Status.Conditions {
				if c.Type == autoscalingv2.ScalingLimited && c.Reason != test.limited {
					t.Errorf("limited: %s, not %s", c.Reason, test.limited)
				}
			}
		})
	}
}

// TestWithinBounds: whatever the load does, the size stays within the spec's and
// within what the policies allow in any of their periods.
func TestWithinBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		minimum := rapid.Int32Range(0, 5).Draw(t, "minimum")
		maximum := minimum + rapid.Int32Range(1, 60).Draw(t, "more")
		up, down := rapid.Int32Range(1, 8).Draw(t, "up"), rapid.Int32Range(1, 8).Draw(t, "down")
		h := hpa(minimum, maximum)
		behaves := rapid.Bool().Draw(t, "behaves")
		if behaves {
			window := rapid.Int32Range(0, 120)
			h.Spec.Behavior = &autoscalingv2.HorizontalPodAutoscalerBehavior{
				ScaleUp:   scaling(window.Draw(t, "up window"), autoscalingv2.MaxChangePolicySelect, pods(up, 60)),
				ScaleDown: scaling(window.Draw(t, "down window"), autoscalingv2.MaxChangePolicySelect, pods(down, 60)),
			}
		}
		current := rapid.Int32Range(max(1, minimum), maximum).Draw(t, "current")
		sizes, _ := steps(h, current, rapid.SliceOfN(rapid.Int32Range(0, 100), 1, 40).Draw(t, "proposals")...)
		sizes = append([]int32{current}, sizes...)
		for i := 1; i < len(sizes); i++ {
			if sizes[i] < minimum || sizes[i] > maximum {
				t.Fatalf("%d is outside of %d to %d: %v", sizes[i], minimum, maximum, sizes)
			}
			if rose := sizes[i] - sizes[max(0, i-4)]; behaves && sizes[i] > sizes[i-1] && rose > up {
				t.Fatalf("%d more within a minute: %v", rose, sizes)
			}
			if fell := sizes[max(0, i-4)] - sizes[i]; behaves && sizes[i] < sizes[i-1] && fell > down {
				t.Fatalf("%d fewer within a minute: %v", fell, sizes)
			}
		}
	})
}
