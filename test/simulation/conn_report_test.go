package simulation

import (
	"cmp"
	"slices"
	"strings"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
)

// report is a fact that was handed in during the present instant.
type report struct {
	entry    bus.Entry
	complete func(uint64, error)
}

// report takes a fact in. What one instant brings of several objects is put in
// order by subject, and so are the counters: timers that end at the same instant
// fire in any order (testing/synctest sees to that), and workers of a node that
// are woken together run in the order of Go's scheduler. Facts about one object
// keep their order. Nodes gather what one moment brings ([agent.Options.Gather]).
func (l *connLog) report(e bus.Entry) *bus.Pending {
	p, complete := bus.NewPending()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dead || l.cut {
		complete(0, noConnection(e.Event))
		return p
	}
	l.reports = append(l.reports, report{e, complete})
	select {
	case l.news <- struct{}{}:
	default:
	}
	return p
}

// flushReports queues the facts of this instant; n.mu is held.
func (n *network) flushReports() {
	for _, c := range n.conns {
		reports := c.reports
		c.reports = nil
		var counters []events.Counter
		for _, r := range reports {
			counters = append(counters, r.entry.Event.Counter)
		}
		slices.SortStableFunc(reports, func(a, b report) int {
			return cmp.Or(a.entry.Event.Time.Compare(b.entry.Event.Time), strings.Compare(a.entry.Event.Subject(), b.entry.Event.Subject()))
		})
		for i, r := range reports {
			r.entry.Event.Counter = counters[i]
			(&connLog{c}).queueAppend([]bus.Entry{r.entry}, true, r.complete)
		}
	}
}
