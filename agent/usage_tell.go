package agent

import (
	"context"
	"time"

	"github.com/reckon-project/reckon/agent/measure"
	"github.com/reckon-project/reckon/bus/usage"
)

// soon is how long after the first report the second comes, the first with
// rates of everything.
const soon = 6 * time.Second

// meter measures this node.
func (a *Agent) meter() *measure.Meter {
	m := &measure.Meter{Runtime: a.runtime, Clock: a.clock}
	if a.o.Runtime == nil {
		m.Machine = func() (measure.Machine, error) { return measure.ReadMachine("/proc") }
	}
	return m
}

// tellUsage tells what the node and its pods use. As with heartbeats, what can't
// be measured or sent is missing.
func (a *Agent) tellUsage(ctx context.Context) error {
	for next := soon; ctx.Err() == nil; next = usage.Every {
		if err := a.tellUsageOnce(ctx); err != nil && ctx.Err() == nil {
			a.log.Debug("what the node uses wasn't told", "err", err)
		}
		a.pause(ctx, next)
	}
	return nil
}

func (a *Agent) tellUsageOnce(ctx context.Context) error {
	s, err := a.measured.Sample(ctx)
	if err != nil {
		return err
	}
	data, err := usage.Encode(usageReport(s))
	if err != nil {
		return err
	}
	return a.o.Bus.Publish(usage.Subject(a.o.Node), data)
}

// usageReport leaves out what has no rate yet. A machine that isn't measured
// uses what its containers do.
func usageReport(s *measure.Sample) *usage.Report {
	r := &usage.Report{Time: s.Time.UTC()}
	for i := range s.Containers {
		c := &s.Containers[i]
		if c.CPU == nil {
			continue
		}
		if n := len(r.Pods); n == 0 || r.Pods[n-1].UID != c.PodUID {
			r.Pods = append(r.Pods, usage.Pod{UID: c.PodUID})
		}
		p := &r.Pods[len(r.Pods)-1]
		used := usage.Container{Name: c.Name, Use: usage.Use{CPU: c.CPU.NanoCores, Memory: c.Stats.Memory.GetWorkingSetBytes().GetValue()}}
		p.Containers, p.Window = append(p.Containers, used), max(p.Window, c.CPU.Window)
		if s.Machine == nil {
			r.CPU, r.Memory, r.Window = r.CPU+used.CPU, r.Memory+used.Memory, max(r.Window, p.Window)
		}
	}
	if s.Machine != nil {
		r.Memory = s.Machine.Memory.WorkingSet
		if s.CPU != nil {
			r.CPU, r.Window = s.CPU.NanoCores, s.CPU.Window
		}
	}
	return r
}
