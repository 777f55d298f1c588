package eviction

import (
	"maps"
	"slices"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Observation is what one signal measures now.
type Observation struct{ Available, Capacity resource.Quantity }

// Observations are all signals that could be measured.
type Observations map[Signal]Observation

// State is what must be remembered from one look to the next. The zero value is
// that of a node that was never under pressure.
type State struct {
	since    map[key]time.Time // when a threshold was first seen to be crossed, without a break
	seen     map[v1.NodeConditionType]time.Time
	starved  []Threshold // that led to reclaiming, until enough was
	pressing []v1.NodeConditionType
}

// key tells thresholds apart.
type key struct {
	signal Signal
	grace  time.Duration
}

func (t Threshold) key() key { return key{t.Signal, t.Grace} }

// Verdict is what a look found.
type Verdict struct {
	// Conditions are those that the node has, in the order of their names.
	Conditions []v1.NodeConditionType
	// Starved are the thresholds for which something has to go now, the most urgent first.
	Starved []Threshold
}

// Look takes in what was measured at a time.
func (s *State) Look(thresholds []Threshold, now time.Time, o Observations, transition time.Duration) Verdict {
	crossed := met(thresholds, o, false)
	for _, t := range met(s.starved, o, true) {
		if !slices.ContainsFunc(crossed, func(c Threshold) bool { return c.key() == t.key() }) {
			crossed = append(crossed, t)
		}
	}
	since := map[key]time.Time{}
	if s.seen == nil {
		s.seen = map[v1.NodeConditionType]time.Time{}
	}
	s.starved = nil
	for _, t := range crossed {
		first, ok := s.since[t.key()]
		if !ok {
			first = now
		}
		since[t.key()] = first
		s.seen[meanings[t.Signal].condition] = now
		if now.Sub(first) >= t.Grace {
			s.starved = append(s.starved, t)
		}
	}
	s.since = since
	for c, at := range s.seen {
		if now.Sub(at) >= transition && !at.Equal(now) {
			delete(s.seen, c)
		}
	}
	s.pressing = slices.Sorted(maps.Keys(s.seen))
	slices.SortStableFunc(s.starved, order)
	return Verdict{Conditions: slices.Clone(s.pressing), Starved: slices.Clone(s.starved)}
}

// Relieved reports whether nothing is short any more, minimum reclaims included.
func Relieved(thresholds []Threshold, o Observations) bool { return len(met(thresholds, o, true)) == 0 }

func met(thresholds []Threshold, o Observations, reclaim bool) (out []Threshold) {
	for _, t := range thresholds {
		have, ok := o[t.Signal]
		if !ok {
			continue
		}
		least := t.Value.Of(have.Capacity)
		if reclaim {
			least.Add(t.Reclaim.Of(have.Capacity))
		}
		if have.Available.Cmp(least) < 0 {
			out = append(out, t)
		}
	}
	return out
}
