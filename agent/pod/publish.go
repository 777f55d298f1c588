package pod

import (
	"bytes"
	"slices"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/agent/feed"
	"github.com/reckon-project/reckon/agent/report"
	"github.com/reckon-project/reckon/events"
)

// publisher turns a pod's successive statuses into few facts: what somebody
// waits for goes out at once, the steps in between wait for the next one, at
// most for the settling time.
type publisher struct {
	host *Host
	key  events.Key
	uid  string // "": the cluster doesn't know the pod (yet), so there is nothing to report

	mu      sync.Mutex
	sent    []byte
	next    []byte
	newest  []byte        // the last one that set took
	steps   []events.Step // to be told with the next fact
	told    []events.Step // with the last one
	origin  feed.Origin   // what the next fact answers, unless one did already
	cited   uint64        // the decision that a fact has named as its cause
	last    uint64        // the newest fact of this pod, once its sequence is known
	timer   interface{ Stop() bool }
	stopped bool
}

// warnings are told even when the status is what it was, but not twice the same.
var warnings = map[string]bool{"Unhealthy": true, "Failed": true, "FailedMount": true, "FailedPrepareDynamicResources": true, "FailedCreatePodSandBox": true}

// mostSteps is how many steps one fact tells of: the newest.
const mostSteps = 16

// set takes the pod's present status and what happened since the last call.
// urgent sends it now. The fact's cause is the decision that it is the first to
// answer, or the fact before it: from a restart the chain leads over the end of
// the container and its first start to the pod's placement.
func (p *publisher) set(status *v1.PodStatus, steps []events.Step, origin feed.Origin, urgent bool) error {
	patch, err := statusPatch(status)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.origin, p.newest = origin, patch
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
	case p.uid == "": // it waits
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
	if !p.stopped && p.next != nil && p.uid != "" {
		p.send()
	}
}

func (p *publisher) send() {
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
	f := report.Fact{Key: p.key, UID: p.uid, Patch: p.next, Traceparent: p.origin.Traceparent, Told: p.reported}
	f.Reason, f.Note = events.JoinSteps(p.steps)
	switch cause := p.origin.Cause; {
	case p.last != 0 && p.cited == cause:
		f.Cause = []uint64{p.last}
	case cause != 0:
		f.Cause, p.cited = []uint64{cause}, cause
	}
	p.sent, p.next = p.next, nil
	p.told, p.steps = p.steps, nil
	p.host.Reports.Report(f)
}

// reportAs gives the pod the uid by which its facts name it.
func (p *publisher) reportAs(uid string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.uid == uid {
		return
	}
	p.uid, p.sent, p.last, p.cited = uid, nil, 0, 0
	if p.next = p.newest; uid != "" && p.next != nil && !p.stopped {
		p.send()
	}
}

// reported takes in the sequence of a fact.
func (p *publisher) reported(sequence uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = max(p.last, sequence)
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
