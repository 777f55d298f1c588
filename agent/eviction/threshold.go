package eviction

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/reckon-project/reckon/events"
)

// Value is an amount, or a part of the capacity.
type Value struct {
	Quantity resource.Quantity
	Percent  float64 // of the capacity, 0 to 100; used if Quantity is 0
}

// Threshold is crossed when less than Value is left.
type Threshold struct {
	Signal Signal
	Value  Value
	Grace  time.Duration // 0: a hard one
	// Reclaim is how much more than Value has to be free before all is well again.
	Reclaim Value
}

// Settings are the thresholds as flags give them: signal to value.
type Settings struct {
	Hard, Soft, SoftGrace, MinimumReclaim map[string]string
}

// Parse gives the settings' thresholds, in a fixed order.
func (s Settings) Parse() ([]Threshold, error) {
	var out []Threshold
	add := func(signal, value string, grace time.Duration) error {
		if _, ok := meanings[Signal(signal)]; !ok {
			return fmt.Errorf("%w: eviction signal %q isn't known (known: %s)", events.ErrInvalid, signal, known())
		}
		v, err := ParseValue(value)
		if err != nil {
			return fmt.Errorf("%w: eviction threshold %s: %v", events.ErrInvalid, signal, err)
		}
		if v == (Value{}) || v.Percent >= 100 {
			return nil // the kubelet's way to switch one off
		}
		t := Threshold{Signal: Signal(signal), Value: v, Grace: grace}
		if least, ok := s.MinimumReclaim[signal]; ok {
			if t.Reclaim, err = ParseValue(least); err != nil {
				return fmt.Errorf("%w: minimum reclaim of %s: %v", events.ErrInvalid, signal, err)
			}
		}
		out = append(out, t)
		return nil
	}
	for _, signal := range slices.Sorted(maps.Keys(s.Hard)) {
		if err := add(signal, s.Hard[signal], 0); err != nil {
			return nil, err
		}
	}
	for _, signal := range slices.Sorted(maps.Keys(s.Soft)) {
		grace, err := time.ParseDuration(s.SoftGrace[signal])
		if err != nil || grace <= 0 {
			return nil, fmt.Errorf("%w: grace period must be specified for the soft eviction threshold %s", events.ErrInvalid, signal)
		}
		if err := add(signal, s.Soft[signal], grace); err != nil {
			return nil, err
		}
	}
	for _, m := range []map[string]string{s.SoftGrace, s.MinimumReclaim} {
		for _, signal := range slices.Sorted(maps.Keys(m)) {
			if _, ok := meanings[Signal(signal)]; !ok {
				return nil, fmt.Errorf("%w: eviction signal %q isn't known (known: %s)", events.ErrInvalid, signal, known())
			}
		}
	}
	return out, nil
}

func known() string {
	names := make([]string, 0, len(meanings))
	for s := range meanings {
		names = append(names, string(s))
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// ParseValue reads "100Mi" or "10%".
func ParseValue(text string) (Value, error) {
	if part, ok := strings.CutSuffix(text, "%"); ok {
		p, err := strconv.ParseFloat(part, 64)
		if err != nil || !(p >= 0 && p <= 100) {
			return Value{}, fmt.Errorf("%q isn't a percentage", text)
		}
		return Value{Percent: p}, nil
	}
	q, err := resource.ParseQuantity(text)
	if err != nil || q.Sign() < 0 {
		return Value{}, fmt.Errorf("%q isn't an amount", text)
	}
	if q.IsZero() {
		return Value{}, nil
	}
	return Value{Quantity: q}, nil
}

// Of gives the amount that a value is of a capacity.
func (v Value) Of(capacity resource.Quantity) resource.Quantity {
	if !v.Quantity.IsZero() {
		return v.Quantity.DeepCopy()
	}
	return *resource.NewQuantity(int64(float64(capacity.Value())*v.Percent/100), capacity.Format)
}

// Reserve is what the hard threshold of a signal keeps free of a capacity.
func Reserve(thresholds []Threshold, s Signal, capacity resource.Quantity) resource.Quantity {
	for _, t := range thresholds {
		if t.Signal == s && t.Grace == 0 {
			return t.Value.Of(capacity)
		}
	}
	return resource.Quantity{}
}

// order puts memory first, as the kubelet does, and is stable otherwise.
func order(a, b Threshold) int {
	rank := func(t Threshold) int {
		if t.Signal == MemoryAvailable {
			return 0
		}
		return 1
	}
	return cmp.Compare(rank(a), rank(b))
}
