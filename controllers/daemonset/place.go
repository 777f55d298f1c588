package daemonset

import (
	"fmt"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
)

// failedBefore counts on a pod how many before it failed on its node, one
// right after the other.
const failedBefore = "reckon.dev/failed-before"

// longestWait bounds how long a failed pod stays; one that lived twice as long
// before it failed doesn't count as one in a row.
const longestWait = 15 * time.Minute

// place gives each node the pods that it is to have, and no others.
func (v *view) place() plan {
	var p plan
	for i := range v.nodes {
		n := &v.nodes[i]
		switch {
		case n.gone:
			for _, o := range n.pods {
				if o.Value.(*corev1.Pod).Spec.NodeName == "" {
					p.delete(o)
				}
			}
		case n.runs && len(n.pods) == 0:
			p.create = append(p.create, placement{node: n.name})
		case n.stay:
			v.keep(n, &p)
		default:
			for _, o := range n.pods {
				if o.Meta().GetDeletionTimestamp() == nil {
					p.delete(o)
				}
			}
		}
	}
	return p
}

// keep deletes what has ended on a node, and what is one too many.
func (v *view) keep(n *site, p *plan) {
	var running []*events.Object
	others, waiting, failures := false, false, 0 // others: that are being deleted
	for _, o := range n.pods {
		pod := o.Value.(*corev1.Pod)
		switch {
		case pod.DeletionTimestamp != nil:
			others = true
		case pod.Status.Phase == corev1.PodFailed:
			before, left := v.failures(pod)
			if left > 0 {
				v.again(left)
				waiting = true
				continue
			}
			failures = max(failures, before)
			p.remove = append(p.remove, removal{o, "FailedDaemonPod",
				fmt.Sprintf("Found failed daemon pod %s/%s on node %s, will try to kill it", pod.Namespace, pod.Name, n.name)})
		case pod.Status.Phase == corev1.PodSucceeded:
			p.remove = append(p.remove, removal{o, "SucceededDaemonPod",
				fmt.Sprintf("Found succeeded daemon pod %s/%s on node %s, will try to delete it", pod.Namespace, pod.Name, n.name)})
		default:
			running = append(running, o)
		}
	}
	another := placement{n.name, failures}
	switch {
	case len(running) > 1 && v.surges():
		v.keepPair(running, p)
	case len(running) > 1:
		p.delete(running[1:]...)
	case waiting || !n.runs:
	case !v.surges():
		if len(running) == 0 && failures > 0 && !others {
			p.create = append(p.create, another)
		}
	case len(running) == 0:
		// Those that are being deleted may go on meanwhile.
		p.create = append(p.create, another)
	case failures > 0 && !v.updated(running[0].Value.(*corev1.Pod)):
		p.create = append(p.create, another) // in the place of the one that failed beside it
	}
}

// keepPair leaves a node its old pod and the new one that is to take its place,
// until that is available or the old one doesn't serve any more. Of several of one
// sort the oldest that serves stays.
func (v *view) keepPair(running []*events.Object, p *plan) {
	var young, old *events.Object
	for _, o := range running {
		at := &old
		if v.updated(o.Value.(*corev1.Pod)) {
			at = &young
		}
		switch {
		case *at == nil:
			*at = o
		case isReady(o) && !isReady(*at):
			p.delete(*at)
			*at = o
		default:
			p.delete(o)
		}
	}
	if young != nil && old != nil && (!isReady(old) || v.serves(young)) {
		p.delete(old)
	}
}

func isReady(o *events.Object) bool { return !controllers.ReadySince(o.Value.(*corev1.Pod)).IsZero() }

// failures counts how many pods of the present template failed on the node up to
// this one, and how long it stays before another one is tried.
func (v *view) failures(pod *corev1.Pod) (n int, left time.Duration) {
	if !v.updated(pod) {
		return 0, 0
	}
	age := v.now.Sub(pod.CreationTimestamp.Time)
	before, err := strconv.Atoi(pod.Annotations[failedBefore])
	if err != nil || before < 1 || age > 2*longestWait {
		return 1, 0
	}
	wait := longestWait
	if before < 11 {
		wait = min(wait, time.Second<<(before-1))
	}
	return before + 1, max(0, wait-age)
}
