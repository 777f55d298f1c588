package scheduler

import (
	"context"
	"fmt"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
)

// placeGang finds nodes for a gang's pods, in the view first. Only if enough of them fit
// at once they are placed, in one batch of events that is stored as a whole or not at all.
func (l *loop) placeGang(ctx context.Context, g *gang) error {
	helped, going := l.cluster.helped, g.going()
	var fitting, rest []*pending
	var taken []*pending // of those, that didn't hold a node before
	said := map[*pending]*events.Event{}
	problem := ""
	for _, p := range g.inOrder() {
		held := l.held(p)
		n := held
		if n == nil && !l.claimsWait(p) {
			n = schedule(l.cluster, p.class)
		}
		if n == nil {
			if rest = append(rest, p); problem == "" {
				problem = l.gangProblem(p)
			}
			continue
		}
		l.cluster.open(p.class)
		said[p] = l.placement(p, n)
		if held == nil {
			l.cluster.bind(p.pod, n, p.class.demand)
			taken = append(taken, p)
		}
		fitting = append(fitting, p)
	}
	if len(fitting) > bus.MaxBatch {
		problem, rest = fmt.Sprintf("a gang can't have more than %d pods.", bus.MaxBatch), append(rest, fitting...)
		fitting = nil
	}
	if going+len(fitting) < g.size {
		for _, p := range taken {
			l.cluster.removePod(p.pod.UID)
		}
		l.cluster.helped = helped // all is as it was
		return l.parkGang(ctx, g, problem)
	}
	for _, p := range rest { // enough go without them: now each is on its own
		l.queue.activate(p)
	}
	return l.bindGang(ctx, g, fitting, said)
}

// claimsWait reports that a pod's claims wait for its node: a gang's can't be bound at once.
func (l *loop) claimsWait(p *pending) bool {
	return p.claims != nil && len(l.cluster.volumes.claimedBy(p.pod).unbound) > 0
}

func (l *loop) gangProblem(p *pending) string {
	if l.claimsWait(p) {
		return "a gang's PersistentVolumeClaims must be bound before it is placed."
	}
	message, _ := refusal(l.cluster, p.class)
	return message
}

// parkGang has all of a gang's pods wait, each saying why the gang does.
func (l *loop) parkGang(ctx context.Context, g *gang, problem string) error {
	message := fmt.Sprintf("%s gang: %d pods of %s/%s must fit at once", problem, g.size, g.key.namespace, g.key.name)
	for _, p := range g.inOrder() {
		p.class.refusedBy = p.class.refusers()
		l.queue.park(p)
		if err := l.say(ctx, p, message); err != nil {
			return err
		}
	}
	return nil
}

// bindGang appends the placements. The loop hears of them only if that fails.
func (l *loop) bindGang(ctx context.Context, g *gang, pods []*pending, placements map[*pending]*events.Event) error {
	var attempts []attempt
	var batch []bus.Entry
	for _, p := range pods {
		l.queue.place(p)
		if p.claims != nil {
			l.cluster.volumes.use(p.pod)
		}
		l.attempts++
		p.attempt, p.expected = l.attempts, p.object.Decision
		expect := p.expected
		if expect < l.options.Projection.Snapshot().First() {
			expect = 0 // the log is trimmed behind it
		}
		attempts = append(attempts, attempt{pod: p, number: p.attempt})
		batch = append(batch, bus.Entry{Event: placements[p], Expect: bus.Expect(expect)})
	}
	g.since = time.Time{}
	l.lookAtUsers()
	l.evictions.group.Go(func() {
		if _, err := l.log.AppendBatch(ctx, batch); err != nil {
			l.outcomes.fail(failure{pod: pods[0], err: err, gang: attempts})
		}
	})
	return nil
}

// unbound takes in that a gang's placements weren't stored, or that nobody knows: all
// of its pods are tried again, together. Until then they keep what they took.
func (l *loop) unbound(f failure) {
	for _, a := range f.gang {
		if p := a.pod; l.queue.pods[p.object.Key] == p && p.attempt == a.number && p.state == placed {
			l.retryLater(p)
		}
	}
}
