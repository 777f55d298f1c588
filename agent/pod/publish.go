package pod

import (
	"bytes"
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
	reason  string
	note    string
	told    string // the last note sent
	cause   uint64
	timer   interface{ Stop() bool }
	stopped bool
}

// warnings are told even when the status is what it was, but not twice the same.
var warnings = map[string]bool{"Unhealthy": true, "Failed": true, "FailedMount": true, "FailedCreatePodSandBox": true}

// set takes the pod's present status. urgent sends it now.
func (p *publisher) set(status *v1.PodStatus, reason, note string, cause uint64, urgent bool) error {
	patch, err := statusPatch(status)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cause = max(cause, p.cause)
	if reason != "" {
		p.reason, p.note = reason, note
	}
	if bytes.Equal(patch, p.sent) {
		p.next = nil
		if !warnings[reason] || p.note == p.told {
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
	f := report.Fact{Key: p.key, UID: p.uid, Patch: p.next, Reason: p.reason, Note: p.note}
	if p.cause != 0 {
		f.Cause = []uint64{p.cause}
	}
	p.told = p.note
	p.sent, p.next, p.reason, p.note = p.next, nil, "", ""
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
