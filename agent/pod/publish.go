package pod

import (
	"bytes"
	"slices"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/agent/report"
	"github.com/reckon-project/reckon/events"
)

// publisher turns a pod's successive statuses into few facts: what somebody
// waits for goes out at once, the steps in between wait for the next one, at
// most for the settling time.
type publisher struct {
	host *Host
	key  events.Key
	uid  string

	mu      sync.Mutex
	sent    []byte
	next    []byte
	steps   []events.Step // to be told with the next fact
	told    []events.Step // with the last one
	cause   uint64
	timer   interface{ Stop() bool }
	stopped bool
}

// warnings are told even when the status is what it was, but not twice the same.
var warnings = map[string]bool{"Unhealthy": true, "Failed": true, "FailedMount": true, "FailedCreatePodSandBox": true}

// mostSteps is how many steps one fact tells of: the newest.
const mostSteps = 16

// set takes the pod's present status and what happened since the last call.
// urgent sends it now.
func (p *publisher) set(status *v1.PodStatus, steps []events.Step, cause uint64, urgent bool) error {
	patch, err := statusPatch(status)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cause = max(cause, p.cause)
	p.steps = append(p.steps, steps...)
	p.steps = p.steps[max(0, len(p.steps)-mostSteps):]
	if bytes.Equal(patch, p.sent) {
		p.next = nil
		if !slices.ContainsFunc(steps, func(s events.Step) bool { return warnings[s.Reason] }) {
			return nil // what happened is told with the next change
		}
		if slices.Equal(p.steps, p.told) {
			p.steps = nil
			return nil
		}
		urgent = false
	}
	p.next = patch
	switch {
	case urgent:
		p.send()
	case p.timer == nil && !p.stopped:
		settle := p.host.Settle
		if settle == 0 {
			settle = time.Second
		}
		p.timer = p.host.Clock.AfterFunc(settle, p.flush)
	}
	return nil
}

func (p *publisher) flush() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.timer = nil
	if !p.stopped && p.next != nil {
		p.send()
	}
}

func (p *publisher) send() {
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
	f := report.Fact{Key: p.key, UID: p.uid, Patch: p.next}
	f.Reason, f.Note = events.JoinSteps(p.steps)
	if p.cause != 0 {
		f.Cause = []uint64{p.cause}
	}
	p.sent, p.next = p.next, nil
	p.told, p.steps = p.steps, nil
	p.host.Reports.Report(f)
}

// again lets the next set send even what was sent before.
func (p *publisher) again() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent = nil
}

func (p *publisher) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
}
