package podautoscaler

import (
	"errors"
	"math"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
)

// tolerances are how far the load may be off its target in each direction before
// something is done, as parts of the target.
type tolerances struct{ down, up float64 }

func tolerancesOf(hpa *autoscalingv2.HorizontalPodAutoscaler) tolerances {
	t := tolerances{tolerance, tolerance}
	if b := hpa.Spec.Behavior; b != nil {
		if b.ScaleDown != nil && b.ScaleDown.Tolerance != nil {
			t.down = b.ScaleDown.Tolerance.AsApproximateFloat64()
		}
		if b.ScaleUp != nil && b.ScaleUp.Tolerance != nil {
			t.up = b.ScaleUp.Tolerance.AsApproximateFloat64()
		}
	}
	return t
}

func (t tolerances) allow(ratio float64) bool { return 1-t.down <= ratio && ratio <= 1+t.up }

// perPod is a calculation over the samples of pods.
type perPod struct {
	pods    []*corev1.Pod
	samples map[string]sample // it changes them
	current int32
	tolerances
	cpu bool
	now time.Time

	// ratio is the load of samples as part of the target, and what it is in the
	// target's unit and per pod.
	ratio func(samples map[string]sample) (ratio float64, usage, average int64, err error)
	// full is the value of a pod without a sample when there would be fewer replicas.
	full func(pod string) int64
}

var (
	errNoPods    = errors.New("no pods returned by selector while calculating replica count")
	errNoSamples = errors.New("did not receive metrics for targeted pods (pods might be unready)")
)

// replicas gives how many replicas the load asks for, and what the load is.
func (p perPod) replicas() (n int32, usage, average int64, err error) {
	if len(p.pods) == 0 {
		return 0, 0, 0, errNoPods
	}
	by := sortPods(p.pods, p.samples, p.cpu, p.now)
	for _, names := range [][]string{by.ignored, by.unready} {
		for _, name := range names {
			delete(p.samples, name)
		}
	}
	if len(p.samples) == 0 {
		return 0, 0, 0, errNoSamples
	}
	ratio, usage, average, err := p.ratio(p.samples)
	if err != nil {
		return 0, 0, 0, err
	}
	rising := len(by.unready) > 0 && ratio > 1
	if !rising && len(by.missing) == 0 {
		if p.allow(ratio) {
			return p.current, usage, average, nil
		}
		return ceil(ratio * float64(by.ready)), usage, average, nil
	}
	for _, name := range by.missing {
		switch {
		case ratio < 1:
			p.samples[name] = sample{value: p.full(name)}
		case ratio > 1:
			p.samples[name] = sample{}
		}
	}
	if rising {
		for _, name := range by.unready {
			p.samples[name] = sample{}
		}
	}
	again, _, _, err := p.ratio(p.samples)
	if err != nil {
		return 0, usage, average, err
	}
	if p.allow(again) || ratio < 1 && again > 1 || ratio > 1 && again < 1 {
		return p.current, usage, average, nil // it would turn the direction
	}
	n = ceil(again * float64(len(p.samples)))
	if again < 1 && n > p.current || again > 1 && n < p.current {
		return p.current, usage, average, nil
	}
	return n, usage, average, nil
}

// utilization is the ratio of a load in per cent of what pods request.
func utilization(requests map[string]int64, target int32) func(map[string]sample) (float64, int64, int64, error) {
	return func(samples map[string]sample) (float64, int64, int64, error) {
		var used, requested, n int64
		for name, x := range samples {
			if request, ok := requests[name]; ok {
				used, requested, n = used+x.value, requested+request, n+1
			}
		}
		if requested == 0 {
			return 0, 0, 0, errors.New("no metrics returned matched known pods")
		}
		percent := int32(used * 100 / requested)
		return float64(percent) / float64(target), int64(percent), used / n, nil
	}
}

// plain is the ratio of an average value.
func plain(target int64) func(map[string]sample) (float64, int64, int64, error) {
	return func(samples map[string]sample) (float64, int64, int64, error) {
		var sum int64
		for _, x := range samples {
			sum += x.value
		}
		average := sum / int64(len(samples))
		return float64(average) / float64(target), average, average, nil
	}
}

// byValue gives the replicas for a value that all pods have together.
func byValue(value, target int64, current int32, pods []*corev1.Pod, t tolerances) (int32, error) {
	ratio := float64(value) / float64(target)
	switch {
	case current == 0:
		return ceil(ratio), nil
	case t.allow(ratio):
		return current, nil
	case len(pods) == 0:
		return 0, errors.New("unable to calculate ready pods: " + errNoPods.Error())
	}
	return ceil(ratio * float64(readyOf(pods))), nil
}

// byShare gives the replicas for a value of which each pod is to have its share,
// and what each has now.
func byShare(value, share int64, running int32, t tolerances) (n int32, each int64) {
	n = running
	if !t.allow(float64(value) / (float64(share) * float64(running))) {
		n = ceil(float64(value) / float64(share))
	}
	if running == 0 {
		return n, value
	}
	f := math.Ceil(float64(value) / float64(running))
	if f >= math.MaxInt64 {
		return n, math.MaxInt64
	}
	return n, int64(f)
}

// ceil rounds up, within what a number of replicas can be.
func ceil(f float64) int32 { return clamp(math.Ceil(f)) }
