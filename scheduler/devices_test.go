package scheduler

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/reckon-project/reckon/bus"
	corev1 "k8s.io/api/core/v1"
)

// failing is an API that refuses some writes, half of them after they took effect.
type failing struct {
	http.RoundTripper
	asked atomic.Int64
}

func (f *failing) RoundTrip(r *http.Request) (*http.Response, error) {
	switch n := f.asked.Add(1); {
	case n%7 == 3:
		return nil, http.ErrHandlerTimeout
	case n%7 == 5:
		answer, err := f.RoundTripper.RoundTrip(r)
		if err == nil {
			err = answer.Body.Close()
		}
		if err == nil {
			err = http.ErrHandlerTimeout
		}
		return nil, err
	}
	return f.RoundTripper.RoundTrip(r)
}

// TestNoDeviceTwice has a burst of pods ask for more devices than there are, through an API
// that fails: each device goes to one claim, and none is left over.
func TestNoDeviceTwice(t *testing.T) {
	const nodes, each, pods = 6, 3, 25
	for _, fails := range []bool{false, true} {
		t.Run(fmt.Sprint("fails=", fails), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHarness(t, func(b bus.Bus) bus.Bus { return b })
				h.doDevices([]string{"device-class", "gpu"})
				for n := range nodes {
					name := fmt.Sprint("n", n)
					h.create("nodes", parseNode(t, name, []string{"cpu=64"}))
					words := []string{"devices", name + "-gpus", "node=" + name}
					for d := range each {
						words = append(words, fmt.Sprintf("gpu-%d=a100", d))
					}
					h.doDevices(words)
				}
				for p := range pods {
					h.create("pods", parsePod(t, fmt.Sprint("p", p), []string{"cpu=1", "device-template=gpu"}))
					h.doDevices([]string{"claim-made", fmt.Sprint("p", p)})
				}
				var api http.RoundTripper = patches{h}
				if fails {
					api = &failing{RoundTripper: api}
				}
				stop := h.startOptions(Options{Holder: "one", API: api})
				time.Sleep(time.Minute)
				synctest.Wait()
				stop()

				placed := 0
				for p := range pods {
					if h.pod(fmt.Sprint("p", p)).Spec.NodeName != "" {
						placed++
					}
				}
				if placed != nodes*each {
					t.Errorf("%d pods have nodes, want %d", placed, nodes*each)
				}
				users := h.deviceUsers()
				if len(users) != nodes*each {
					t.Errorf("%d devices are taken, want all %d", len(users), nodes*each)
				}
				for device, claims := range users {
					if len(claims) != 1 {
						t.Errorf("%s is given to %v", device, claims)
					}
				}
				for p := range pods {
					pod := h.pod(fmt.Sprint("p", p))
					if c := conditionOf(pod, corev1.PodScheduled); pod.Spec.NodeName == "" && (c == nil || c.Message == "") {
						t.Errorf("%s waits and doesn't say why", pod.Name)
					}
				}
			})
		})
	}
}
