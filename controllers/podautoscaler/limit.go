package podautoscaler

import (
	"math"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
)

// Messages of the conditions, which people and tools know.
const (
	messageInRange   = "the desired count is within the acceptable range"
	messageTooFew    = "the desired replica count is less than the minimum replica count"
	messageTooMany   = "the desired replica count is more than the maximum replica count"
	messageUpLimit   = "the desired replica count is increasing faster than the maximum scale rate"
	messageDownLimit = "the desired replica count is decreasing faster than the maximum scale rate"
	messageReady     = "recommended size matches current size"
	messageHigher    = "recent recommendations were higher than current one, applying the highest recent recommendation"
	messageLower     = "recent recommendations were lower than current one, applying the lowest recent recommendation"
)

// normalize limits a proposal where the spec says nothing about behavior.
func (l *look) normalize(current, proposal, minimum int32) int32 {
	oldest := l.now.Add(-downWindow)
	stable := proposal
	for _, r := range l.memory.recommendations {
		if !r.at.Before(oldest) {
			stable = max(stable, r.n)
		}
	}
	l.memory.recommend(proposal, l.now, oldest)
	if stable != proposal {
		l.condition(autoscalingv2.AbleToScale, corev1.ConditionTrue, "ScaleDownStabilized", messageHigher)
	} else {
		l.condition(autoscalingv2.AbleToScale, corev1.ConditionTrue, "ReadyForNewScale", messageReady)
	}
	most, reason, message := l.was.Spec.MaxReplicas, "TooManyReplicas", messageTooMany
	if limit := int32(math.Max(2*float64(current), 4)); most > limit {
		most, reason, message = limit, "ScaleUpLimit", messageUpLimit
	}
	switch {
	case stable < minimum:
		return l.bounded(stable, minimum, "TooFewReplicas", messageTooFew)
	case stable > most:
		return l.bounded(stable, most, reason, message)
	}
	return l.bounded(stable, stable, "DesiredWithinRange", messageInRange)
}

// bounded says in a condition whether a limit changed what was wanted.
func (l *look) bounded(wanted, allowed int32, reason, message string) int32 {
	status := corev1.ConditionFalse
	if wanted != allowed {
		status = corev1.ConditionTrue
	}
	l.condition(autoscalingv2.ScalingLimited, status, reason, "%s", message)
	return allowed
}

// normalizeByBehavior limits a proposal as spec.behavior says.
func (l *look) normalizeByBehavior(current, proposal, minimum int32) int32 {
	up, down := rules(l.was.Spec.Behavior)
	stable := l.stabilize(current, proposal, up, down)
	switch {
	case stable == proposal:
		l.condition(autoscalingv2.AbleToScale, corev1.ConditionTrue, "ReadyForNewScale", messageReady)
	case proposal >= current:
		l.condition(autoscalingv2.AbleToScale, corev1.ConditionTrue, "ScaleUpStabilized", messageLower)
	default:
		l.condition(autoscalingv2.AbleToScale, corev1.ConditionTrue, "ScaleDownStabilized", messageHigher)
	}
	switch {
	case stable > current:
		most, reason, message := l.was.Spec.MaxReplicas, "TooManyReplicas", messageTooMany
		if limit := max(current, l.memory.upLimit(current, up, l.now)); most > limit {
			most, reason, message = limit, "ScaleUpLimit", messageUpLimit
		}
		if stable > most {
			return l.bounded(stable, most, reason, message)
		}
	case stable < current:
		least, reason, message := minimum, "TooFewReplicas", messageTooFew
		if limit := min(current, l.memory.downLimit(current, down, l.now)); least < limit {
			least, reason, message = limit, "ScaleDownLimit", messageDownLimit
		}
		if stable < least {
			return l.bounded(stable, least, reason, message)
		}
	}
	return l.bounded(stable, stable, "DesiredWithinRange", messageInRange)
}

// stabilize keeps the target's size as long as the recommendations of the two
// windows allow it.
func (l *look) stabilize(current, proposal int32, up, down *autoscalingv2.HPAScalingRules) int32 {
	upFrom, downFrom := l.now.Add(-window(up, 0)), l.now.Add(-window(down, downWindow))
	lowest, highest := proposal, proposal
	for _, r := range l.memory.recommendations {
		if r.at.After(upFrom) {
			lowest = min(lowest, r.n)
		}
		if r.at.After(downFrom) {
			highest = max(highest, r.n)
		}
	}
	oldest := upFrom
	if downFrom.Before(oldest) {
		oldest = downFrom
	}
	l.memory.recommend(proposal, l.now, oldest)
	return min(max(current, lowest), highest)
}

func window(r *autoscalingv2.HPAScalingRules, otherwise time.Duration) time.Duration {
	if r == nil || r.StabilizationWindowSeconds == nil {
		return otherwise
	}
	return time.Duration(*r.StabilizationWindowSeconds) * time.Second
}

// rules are both directions of a behavior; the API has filled in the defaults.
func rules(b *autoscalingv2.HorizontalPodAutoscalerBehavior) (up, down *autoscalingv2.HPAScalingRules) {
	if up = b.ScaleUp; up == nil {
		up = &autoscalingv2.HPAScalingRules{Policies: []autoscalingv2.HPAScalingPolicy{
			{Type: autoscalingv2.PodsScalingPolicy, Value: 4, PeriodSeconds: 15},
			{Type: autoscalingv2.PercentScalingPolicy, Value: 100, PeriodSeconds: 15},
		}}
	}
	if down = b.ScaleDown; down == nil {
		down = &autoscalingv2.HPAScalingRules{Policies: []autoscalingv2.HPAScalingPolicy{
			{Type: autoscalingv2.PercentScalingPolicy, Value: 100, PeriodSeconds: 15},
		}}
	}
	return up, down
}

func selectOf(r *autoscalingv2.HPAScalingRules) autoscalingv2.ScalingPolicySelect {
	if r.SelectPolicy == nil {
		return autoscalingv2.MaxChangePolicySelect
	}
	return *r.SelectPolicy
}

// upLimit is the size that policies allow at most; it may be below the current one.
func (m *memory) upLimit(current int32, r *autoscalingv2.HPAScalingRules, now time.Time) int32 {
	choose := selectOf(r)
	if choose == autoscalingv2.DisabledPolicySelect {
		return current
	}
	limit, pick := int32(math.MinInt32), func(a, b int32) int32 { return max(a, b) }
	if choose == autoscalingv2.MinChangePolicySelect {
		limit, pick = math.MaxInt32, func(a, b int32) int32 { return min(a, b) }
	}
	for _, p := range r.Policies {
		before := current - within(m.ups, p.PeriodSeconds, now) + within(m.downs, p.PeriodSeconds, now)
		proposed := before + p.Value
		if p.Type == autoscalingv2.PercentScalingPolicy {
			proposed = clamp(math.Ceil(float64(before) * (1 + float64(p.Value)/100)))
		}
		limit = pick(limit, proposed)
	}
	return limit
}

// downLimit is the size that policies allow at least; it may be above the current one.
func (m *memory) downLimit(current int32, r *autoscalingv2.HPAScalingRules, now time.Time) int32 {
	choose := selectOf(r)
	if choose == autoscalingv2.DisabledPolicySelect {
		return current
	}
	limit, pick := int32(math.MaxInt32), func(a, b int32) int32 { return min(a, b) }
	if choose == autoscalingv2.MinChangePolicySelect {
		limit, pick = math.MinInt32, func(a, b int32) int32 { return max(a, b) }
	}
	for _, p := range r.Policies {
		before := current - within(m.ups, p.PeriodSeconds, now) + within(m.downs, p.PeriodSeconds, now)
		proposed := before - p.Value
		if p.Type == autoscalingv2.PercentScalingPolicy {
			proposed = clamp(math.Trunc(float64(before) * (1 - float64(p.Value)/100)))
		}
		limit = pick(limit, proposed)
	}
	return limit
}

// clamp is a number of replicas of a figure.
func clamp(f float64) int32 {
	return int32(math.Max(math.MinInt32, math.Min(math.MaxInt32, f)))
}
