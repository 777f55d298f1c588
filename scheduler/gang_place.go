package scheduler

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
)

// placeGang finds nodes for a gang's pods, in the view first. Only if enough of them fit
// at once they are placed, in one batch of events that is stored as a whole or not at all.
// If their resource claims have no devices yet, all hold their nodes until they have.
func (l *loop) placeGang(ctx context.Context, g *gang) error {
	helped, devices, going, now := l.cluster.helped, l.cluster.devices.helped, g.going(), l.options.Clock.Now()
	var fitting, rest []*pending
	var taken []*pending // of those, that didn't hold a node before
	said := map[*pending]*events.Event{}
	writes := map[*pending][]claimWrite{} // of those that wait for devices
	problem := ""
	for _, p := range g.inOrder() {
		if p.claims != nil {
			l.reclassed(p) // a claim may have its devices from the one before
		}
		held := l.held(p)
		n := held
		if n == nil && !l.claimsWait(p) {
			n = schedule(l.cluster, p.class)
		}
		var plan devicePlan
		if n != nil && p.claims != nil {
			var ok bool
			if plan, _, ok = l.cluster.planDevices(p.pod, p.class, n, now); !ok {
				n = nil
			}
		}
		if n == nil {
			if rest = append(rest, p); problem == "" {
				problem = l.gangProblem(p)
			}
			continue
		}
		l.cluster.open(p.class)
		said[p] = l.placement(p, n)
		if plan.waits {
			writes[p] = plan.assume(l.cluster, p.pod, now)
		}
		if held == nil || l.cluster.pods[p.pod.UID] == nil {
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
			p.holds = false
		}
		for p, w := range writes {
			l.unassume(p, w)
		}
		l.cluster.helped, l.cluster.devices.helped = helped, devices // all is as it was
		if l.gangComes(g) {
			return nil
		}
		if err := l.parkGang(ctx, g, problem); err != nil {
			return err
		}
		for _, p := range taken {
			l.freeUnused(ctx, p, anyway)
		}
		return nil
	}
	for _, p := range rest { // enough go without them: now each is on its own
		l.queue.activate(p)
	}
	if len(writes) > 0 {
		l.holdGang(ctx, fitting, writes, now)
		return nil
	}
	return l.bindGang(ctx, g, fitting, said)
}

// claimsWait reports that a pod's claims wait for its node: a gang's can't be bound at once.
func (l *loop) claimsWait(p *pending) bool {
	if p.claims == nil {
		return false
	}
	c := l.cluster.volumes.claimedBy(p.pod)
	return c != nil && len(c.unbound) > 0
}

// holdGang has a gang's pods hold their nodes until all have their devices.
func (l *loop) holdGang(ctx context.Context, pods []*pending, writes map[*pending][]claimWrite, now time.Time) {
	for _, p := range pods {
		w, waits := writes[p]
		p.holds, p.ready = true, !waits
		l.queue.wait(p, now.Add(bindWithin))
		if len(w) > 0 {
			l.attempts++
			p.attempt = l.attempts
			l.writes.start(ctx, p, w)
		}
	}
}

// gangComes has a gang wait quietly while claims of its pods aren't made yet.
func (l *loop) gangComes(g *gang) bool {
	var until time.Time
	for _, p := range g.inOrder() {
		if w := p.class.wanted; w != nil && l.comes(p, w) {
			until = p.due
		}
	}
	if until.IsZero() {
		return false
	}
	for _, p := range g.inOrder() {
		if p.state == active {
			l.queue.wait(p, until)
		}
	}
	return true
}

// othersWait reports that others of a pod's gang have no devices yet.
func (p *pending) othersWait() bool {
	if p.gang == nil {
		return false
	}
	for o := range p.gang.members {
		if o != p && o.holds && !o.ready {
			return true
		}
	}
	return false
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
	l.sayOfGang(ctx, g, message)
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
		p.holds = false
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
	done, tells := l.gangs.saidOf(g, metav1.ConditionTrue, "Scheduled", "", l.options.Clock.Now())
	tells = tells && l.options.API != nil
	first := *pods[0]
	first.attempt = 0 // no attempt of the pod's fails with what is said
	l.evictions.group.Go(func() {
		if _, err := l.log.AppendBatch(ctx, batch); err != nil {
			l.outcomes.fail(failure{pod: pods[0], err: err, gang: attempts})
		} else if tells {
			l.writes.start(ctx, &first, []claimWrite{done})
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
