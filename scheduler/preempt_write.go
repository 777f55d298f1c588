package scheduler

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// maxEvictions bounds the requests to delete victims that are under way at once.
const maxEvictions = 64

// evictions are victims for whom it is said, or under way, that they must go, and who aren't
// seen to be going yet.
type evictions struct {
	api      http.RoundTripper
	outcomes *outcomes
	group    sync.WaitGroup
	slots    chan struct{}
	victims  map[types.UID]struct{} // the loop's
}

func newEvictions(api http.RoundTripper, o *outcomes) evictions {
	return evictions{api: api, outcomes: o, slots: make(chan struct{}, maxEvictions), victims: map[types.UID]struct{}{}}
}

func (e *evictions) has(pod *corev1.Pod) bool {
	_, ok := e.victims[pod.UID]
	return ok
}

// victim is one of a pod's victims on its way out.
type victim struct {
	pod  *corev1.Pod
	said *bus.Pending // the event that says why; nil: it was said before
}

// refused is why a class' pods fit nowhere, as of a position of the view's changes.
type refused struct {
	end              uint64
	message, reasons string
}

// whyNot says why a pod fits nowhere, and whom it can have go. Equal pods share the answer
// while nothing changes.
func (l *loop) whyNot(p *pending) (message, reasons string, chosen *candidate) {
	end, own := l.cluster.end(), l.cluster.nominated[p.pod.UID] != nil
	if last := p.class.last; !own && last.message != "" && last.end == end {
		return last.message, last.reasons, nil
	}
	message, reasons = refusal(l.cluster, p.class)
	chosen, more := l.preempt(p)
	if more != "" {
		message += " " + more
		reasons = reasonsIn(message)
	}
	if !own && chosen == nil {
		p.class.last = refused{end, message, reasons}
	}
	return message, reasons, chosen
}

// preempt looks for victims for a pod that fits nowhere, and has their node kept for it.
// What came of it is said behind the refusal.
func (l *loop) preempt(p *pending) (*candidate, string) {
	if l.options.API == nil || p.gang != nil && p.gang.size > 1 || p.class.plugins.preemption.off {
		l.cluster.unnominate(p.pod.UID)
		return nil, ""
	}
	chosen, message := l.cluster.findVictims(p.pod, p.class, l.evictions.has)
	if chosen == nil {
		if own := l.cluster.nominated[p.pod.UID]; own != nil && !l.cluster.awaitsVictims(own, p.class, l.evictions.has) {
			l.cluster.unnominate(p.pod.UID)
		}
		return nil, message
	}
	for _, less := range slices.Clone(chosen.node.nominated) {
		if less.priority < p.class.priority {
			l.renominate(less.pod)
		}
	}
	l.cluster.nominate(p.pod, chosen.node)
	return chosen, message
}

// renominate takes the node kept for a pod away, and has it look for another one.
func (l *loop) renominate(pod *corev1.Pod) {
	l.cluster.unnominate(pod.UID)
	if p := l.queue.byUID(pod); p != nil && p.state == parked {
		l.queue.activate(p)
	}
}

// evict starts what makes the victims go: the event that says why, and, once that is stored,
// their deletion through the API.
func (l *loop) evict(ctx context.Context, p *pending, c *candidate) {
	s := l.options.Projection.Snapshot()
	for _, b := range c.victims {
		if b.pod.DeletionTimestamp != nil || l.evictions.has(b.pod) {
			continue
		}
		object := s.Get(events.Key{Resource: "pods", Namespace: b.pod.Namespace, Name: b.pod.Name})
		if !object.Exists() || object.Meta().GetUID() != b.pod.UID || object.Meta().GetDeletionTimestamp() != nil {
			continue // it goes already, which is seen soon
		}
		l.evictions.victims[b.pod.UID] = struct{}{}
		v := victim{pod: b.pod}
		if e := l.preempted(p, c.node, object.Value.(*corev1.Pod), object); e != nil {
			expect := object.Decision
			if expect < s.First() {
				expect = 0 // the log is trimmed behind it
			}
			v.said = l.log.Start(bus.Entry{Event: e, Expect: bus.Expect(expect)})
		}
		l.evictions.start(ctx, p, v)
	}
}

// preempted is the event that says why a pod has to go; nil if it says so already.
func (l *loop) preempted(p *pending, n *node, pod *corev1.Pod, object *events.Object) *events.Event {
	message := schedulerName(p.pod) + ": preempting to accommodate a higher priority pod"
	now := l.options.Clock.Now()
	since := metav1.Time{Time: now}
	if have := conditionOf(pod, corev1.DisruptionTarget); have != nil && have.Status == corev1.ConditionTrue {
		if have.Reason == corev1.PodReasonPreemptionByScheduler && have.Message == message {
			return nil
		}
		since = have.LastTransitionTime
	}
	e := l.event(p, now, events.Preempted)
	e.Key = object.Key
	e.Cause = []uint64{p.object.Version, object.Version}
	e.Reason = "Preempted"
	e.Note = fmt.Sprintf("Preempted by pod %s on node %s", p.pod.UID, n.name)
	b := append(make([]byte, 0, 256), `{"status":{"conditions":[{"type":"DisruptionTarget","status":"True","reason":"`+corev1.PodReasonPreemptionByScheduler+`","message":`...)
	b = strconv.AppendQuote(b, message) // a scheduler's name is a DNS name
	if pod.Generation > 0 {
		b = append(b, `,"observedGeneration":`...)
		b = strconv.AppendInt(b, pod.Generation, 10)
	}
	b = append(b, `,"lastTransitionTime":"`...)
	b = since.UTC().AppendFormat(b, time.RFC3339)
	e.Data = append(b, `"}]}}`...)
	return e
}

// start sees one victim off. The loop hears of it only if that fails.
func (e *evictions) start(ctx context.Context, p *pending, v victim) {
	attempt, cause, trace := p.attempt, p.object.Version, p.trace
	e.group.Go(func() {
		if err := e.send(ctx, v, cause, trace); err != nil {
			e.outcomes.fail(failure{pod: p, attempt: attempt, err: err, victim: v.pod})
		}
	})
}

func (e *evictions) send(ctx context.Context, v victim, cause uint64, trace string) error {
	if v.said != nil {
		sequence, err := v.said.Wait(ctx)
		if err != nil {
			return err
		}
		cause = sequence
	}
	select {
	case e.slots <- struct{}{}:
		defer func() { <-e.slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	body, err := json.Marshal(metav1.DeleteOptions{
		TypeMeta:      metav1.TypeMeta{APIVersion: "v1", Kind: "DeleteOptions"},
		Preconditions: &metav1.Preconditions{UID: &v.pod.UID},
	})
	if err != nil {
		return err
	}
	path := "/api/v1/namespaces/" + v.pod.Namespace + "/pods/" + v.pod.Name
	gone, err := ask(ctx, e.api, http.MethodDelete, path, "application/json", body, cause, trace)
	if gone {
		return nil
	}
	return err
}

// stayed takes in that a victim couldn't be made to go: the pod looks again.
func (l *loop) stayed(f failure) {
	delete(l.evictions.victims, f.victim.UID)
	p := f.pod
	if l.queue.pods[p.object.Key] == p && p.state == parked {
		l.retryLater(p)
	}
}

// leaving takes in a pod's new version: once it is being deleted, or is gone, its eviction
// is over.
func (e *evictions) leaving(uid types.UID, pod *corev1.Pod) {
	if len(e.victims) > 0 && (pod == nil || pod.DeletionTimestamp != nil) {
		delete(e.victims, uid)
	}
}
