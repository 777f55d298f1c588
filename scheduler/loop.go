package scheduler

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	resourcev1 "k8s.io/api/resource/v1"
	schedulingv1beta1 "k8s.io/api/scheduling/v1beta1"
)

// burst is how many pods are placed before changes are looked at again.
const burst = 256

// loop is one goroutine's: it alone touches cluster and queue.
type loop struct {
	options    Options
	lead       bus.Leadership
	log        bus.Log
	cluster    *cluster
	queue      *queue
	outcomes   *outcomes
	writes     claimWrites
	evictions  evictions
	extensions *extensions
	gangs      gangs
	attempts   uint64    // appends started
	flushAt    time.Time // when parked pods are looked at in any case; zero while there are none
	woken      uint64    // up to where the parked classes have looked
	roomy      uint64    // the newest change that can have made room
}

func newLoop(o Options, lead bus.Leadership, s *projections.Snapshot) *loop {
	l := &loop{
		options: o, lead: lead, log: o.Bus.Log(),
		cluster: newClusterOf(s, o.Config), queue: newQueue(), outcomes: newOutcomes(),
	}
	l.writes = claimWrites{api: o.API, outcomes: l.outcomes}
	l.evictions = newEvictions(o.API, l.outcomes)
	l.extensions = newExtensions(o.Config, l.outcomes)
	l.gangs = newGangs(s)
	for object := range s.List("", "pods", "") {
		l.podChanged(object, nil)
	}
	return l
}

// findTraces looks up the traces of the pods that waited already when this
// process began to lead: a snapshot has objects, not their events.
func (l *loop) findTraces(ctx context.Context) {
	for _, p := range l.queue.pods {
		if e, err := l.log.Get(ctx, p.object.Version); err == nil {
			p.trace = e.Traceparent
		}
	}
}

// run goes on until ctx ends or there are no more changes.
func (l *loop) run(ctx context.Context, changes <-chan folded) error {
	always := make(chan struct{})
	close(always)
	for {
		l.wake()
		if err := l.placeSome(ctx); err != nil {
			return err
		}
		busy := always
		if l.queue.active.Len() == 0 {
			busy = nil
		}
		timer, stop := l.nextDue()
		select {
		case <-ctx.Done():
			stop()
			return ctx.Err()
		case f := <-changes:
			if f.err != nil {
				stop()
				return f.err
			}
			l.take(f.changes)
		case <-l.outcomes.failed:
			for _, f := range l.outcomes.take() {
				switch {
				case f.writes != nil:
					l.unwritten(f)
				case f.gang != nil:
					l.unbound(f)
				case f.extension != nil:
					l.answered(f)
				case f.victim != nil:
					l.stayed(f)
				default:
					l.failed(f)
				}
			}
		case <-timer:
			l.retryDue()
			l.flush()
		case <-busy:
		}
		stop()
	}
}

// placeSome places up to a burst of pods, in order.
func (l *loop) placeSome(ctx context.Context) error {
	for range burst {
		if l.queue.active.Len() == 0 {
			break
		}
		if err := l.decide(ctx, l.queue.active.items[0]); err != nil {
			return err
		}
	}
	l.cluster.trim()
	return nil
}

// decide places one pod or parks it.
func (l *loop) decide(ctx context.Context, p *pending) error {
	if p.lacks() {
		if g := p.gang; g.size == 0 || g.going()+len(g.inOrder()) < g.size {
			return l.gather(ctx, p)
		}
		return l.placeGang(ctx, p.gang)
	}
	n := l.held(p)
	if n == nil {
		extended, done, err := l.extended(ctx, p)
		if done || err != nil {
			return err
		}
		if n = extended; n != nil {
			l.cluster.unnominate(p.pod.UID)
		}
	}
	if n != nil {
		l.cluster.open(p.class) // to say why
	} else {
		n = l.cluster.takeNominated(p.pod.UID, p.class)
	}
	if n == nil {
		if n = schedule(l.cluster, p.class); n == nil {
			return l.refuse(ctx, p)
		}
		l.cluster.unnominate(p.pod.UID)
	}
	if l.reserve(ctx, p, n) {
		l.lookAtUsers()
		l.next(p.class)
		return nil
	}
	e := l.placement(p, n)
	l.cluster.removePod(p.pod.UID)
	l.cluster.bind(p.pod, n, p.class.demand)
	l.queue.place(p)
	l.next(p.class)
	if p.claims != nil {
		p.holds = false
		l.cluster.volumes.use(p.pod)
		l.lookAtUsers()
	}
	return l.start(ctx, p, e)
}

// held gives the node of a placement whose outcome was never learnt: it may be
// stored, so it is only repeated, and keeps what it takes. Once the log moved on
// without it, it never will be.
func (l *loop) held(p *pending) *node {
	if p.holds {
		return l.heldNode(p)
	}
	b := l.cluster.pods[p.pod.UID]
	if b == nil {
		return nil
	}
	if b.node.object == nil || p.object.Decision != p.expected {
		l.cluster.removePod(p.pod.UID)
		return nil
	}
	return b.node
}

// refuse parks a pod that fits nowhere, and says so if it is news.
func (l *loop) refuse(ctx context.Context, p *pending) error {
	message, reasons, chosen := l.whyNot(p)
	if by := p.class.refusers(); by != p.class.refusedBy {
		p.class.refusedBy = by
		if of := l.queue.parked[p.class]; of != nil {
			for _, other := range slices.Clone(of.items) {
				l.queue.activate(other)
			}
		}
	}
	l.queue.park(p)
	if w := p.class.wanted; w != nil {
		if l.comes(p, w) {
			return nil
		}
		if w.problem == "" {
			l.freeUnused(ctx, p, inTheWay)
		}
	}
	if kept := l.cluster.nominatedName(p.pod.UID); reasons != p.reasons || kept != p.kept {
		if kept == p.kept && l.saidEnough(p) {
			return nil
		}
		p.reasons, p.kept = reasons, kept
		if err := l.start(ctx, p, l.refused(p, message)); err != nil {
			return err
		}
	}
	if chosen != nil {
		l.evict(ctx, p, chosen)
		l.nextToPreempt(p.class)
	}
	return nil
}

func (l *loop) start(ctx context.Context, p *pending, e *events.Event) error {
	l.attempts++
	p.attempt, p.expected = l.attempts, p.object.Decision
	expect := p.expected
	if expect < l.options.Projection.Snapshot().First() {
		expect = 0 // the log is trimmed behind it
	}
	a := attempt{p, p.attempt, l.log.Start(bus.Entry{Event: e, Expect: bus.Expect(expect)})}
	select {
	case l.outcomes.started <- a:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// take folds changes into the view.
func (l *loop) take(changes []projections.Change) {
	for _, c := range changes {
		k := c.Event.Key
		if k.Group != "" && k.Group != "storage.k8s.io" && k.Group != "policy" && k.Group != schedulingv1beta1.GroupName && k.Group != "apps" && k.Group != resourcev1.GroupName {
			continue
		}
		if c.Void == nil && (k.Resource == "nodes" || k.Resource == "pods" && frees(c)) {
			l.roomy = c.Event.Sequence
		}
		switch k.Resource {
		case "persistentvolumeclaims", "persistentvolumes", "storageclasses":
			l.takeVolumes(c)
		case "csinodes", "volumeattachments", "csidrivers":
			l.cluster.takeDriver(c)
		case "resourceclaims", "resourceslices", "deviceclasses", "devicetaintrules":
			l.takeDevice(c)
		case "nodes":
			l.cluster.setNode(k.Name, value[*corev1.Node](c.New))
			l.nodeGone(k.Name)
		case "podgroups":
			l.groupChanged(c)
		case "poddisruptionbudgets":
			l.cluster.budgets.set(k, value[*policyv1.PodDisruptionBudget](c.New))
		case "services", "namespaces", "replicationcontrollers", "replicasets", "statefulsets":
			l.cluster.takeOwner(c)
		case "pods":
			if gone := c.Old; gone.Exists() && (!c.New.Exists() || c.New.Meta().GetUID() != gone.Meta().GetUID()) {
				l.cluster.removePod(gone.Meta().GetUID())
				l.cluster.unnominate(gone.Meta().GetUID())
				l.evictions.leaving(gone.Meta().GetUID(), nil)
				if before := value[*corev1.Pod](gone); before != nil {
					l.gangs.misses(before)
				}
				if p := l.queue.pods[k]; p != nil {
					l.queue.remove(p)
				}
			}
			if c.New.Exists() {
				l.podChanged(c.New, &c)
			}
		}
	}
	l.lookAtUsers()
	l.cluster.trim()
}

// frees reports that a change took a pod off its node.
func frees(c projections.Change) bool {
	before, after := value[*corev1.Pod](c.Old), value[*corev1.Pod](c.New)
	if before == nil || before.Spec.NodeName == "" {
		return false
	}
	return after == nil || after.UID != before.UID || after.Status.Phase != before.Status.Phase
}

func value[T any](o *events.Object) (v T) {
	if o.Exists() {
		v, _ = o.Value.(T)
	}
	return v
}

// podChanged takes in a pod's new version; c is nil for those of a snapshot.
func (l *loop) podChanged(object *events.Object, c *projections.Change) {
	pod, ok := object.Value.(*corev1.Pod)
	if !ok {
		return
	}
	l.evictions.leaving(pod.UID, pod)
	p := l.queue.pods[object.Key]
	if !l.cluster.schedules(pod) {
		l.cluster.unnominate(pod.UID)
		if p != nil {
			l.queue.remove(p)
			if pod.Spec.NodeName == "" {
				l.cluster.removePod(pod.UID) // it was placed, and is gated or being deleted instead
			}
		}
		l.cluster.setPod(pod)
		l.gangs.sees(pod)
		return
	}
	if p == nil {
		p = &pending{object: object, pod: pod, class: l.cluster.classOf(pod), arrival: object.Version, reasons: reasonsSaid(pod), kept: pod.Status.NominatedNodeName, claims: waitsFor(pod)}
		if c != nil {
			p.trace = c.Event.Traceparent
		}
		l.cluster.nominateSaid(pod)
		l.gangs.joins(p)
		l.queue.add(p)
		return
	}
	p.object, p.pod = object, pod
	if len(pod.Spec.ResourceClaims) > 0 {
		l.queue.reclaim(p, waitsFor(pod))
	}
	if c != nil && c.Void == nil && c.Event.Traceparent != "" {
		p.trace = c.Event.Traceparent
	}
	switch p.state {
	case placed:
		if c != nil && c.Void != nil && c.Event.Type == events.Scheduled && c.Event.Epoch == l.lead.Epoch {
			l.cluster.removePod(pod.UID)
			l.again(p)
		}
	case waiting:
		l.again(p)
	default:
		l.reclassed(p)
	}
}

// reasonsSaid are those of the unschedulable event already in the log.
func reasonsSaid(pod *corev1.Pod) string {
	i := slices.IndexFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable
	})
	if i < 0 {
		return ""
	}
	return reasonsIn(pod.Status.Conditions[i].Message)
}

// failed handles an append that was not stored, or whose outcome isn't known: if
// it was stored after all, its fold says so, and until then the expectation protects.
func (l *loop) failed(f failure) {
	p := f.pod
	if l.queue.pods[p.object.Key] != p || p.attempt != f.attempt {
		return // gone, or decided again since
	}
	conflict := errors.Is(f.err, events.ErrConflict)
	switch p.state {
	case parked:
		p.reasons = "" // the refusal must be said again
	case placed: // after a conflict it still takes what it took: an earlier attempt may be stored
	default:
		return
	}
	if conflict && p.object.Decision != p.expected {
		l.again(p) // what was in between is folded already
		return
	}
	l.retryLater(p)
}

// again decides a pod anew, at once.
func (l *loop) again(p *pending) {
	if !l.reclassed(p) {
		l.queue.activate(p)
	}
}

// reclassed moves a pod to the class it is of by now, and reports whether that is another one.
func (l *loop) reclassed(p *pending) bool {
	cl := l.cluster.classOf(p.pod)
	if cl == p.class {
		return false
	}
	l.queue.reclass(p, cl)
	return true
}
