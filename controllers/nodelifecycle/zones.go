package nodelifecycle

import (
	"context"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-helpers/node/topology"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// How fast nodes of a zone get their taint with NoExecute: every ten seconds one;
// where most nodes of a large zone are down every hundred seconds one, of a small
// one none: what looks like many dead nodes is rather a broken network.
const (
	interval       = 10 * time.Second
	slowInterval   = 100 * time.Second
	largeZone      = 50 // nodes; a larger one is large
	unhealthyShare = 55 // percent
)

// excluded is the label of nodes that don't count when a zone is judged.
const excluded = "node.kubernetes.io/exclude-disruption"

// quietPerNode is how long a pass over the zones keeps the next one off, per node.
const quietPerNode = 5 * time.Microsecond

// zonesKey stands for all zones: whether pods are evicted in one depends on the others.
var zonesKey = events.Key{Resource: "nodes", Name: "(zones)"}

// NewZones makes the controller that has pods sent away from nodes that aren't
// ready, zone by zone and node by node.
func NewZones() *controllers.Controller {
	return controllers.New("node-zones-controller").As("node-controller").
		Watches("", "nodes", func(_ *projections.Snapshot, c projections.Change, add func(events.Key)) {
			was, is := nodeOf(c.Old), nodeOf(c.New)
			if was != nil && is != nil && readiness(was) == readiness(is) && hasExecute(was) == hasExecute(is) &&
				zoneOf(was) == zoneOf(is) && counts(was) == counts(is) {
				return
			}
			add(zonesKey)
		}).
		Reconcile(judge)
}

// zone is what a pass finds of one.
type zone struct {
	ready, down int
	waiting     []*events.Object // nodes that aren't ready and have no such taint
	last        time.Time        // when a node got one
}

func (z *zone) disrupted() bool { return z.ready == 0 && z.down > 0 }

// interval is the time between two nodes; 0: none gets the taint.
func (z *zone) interval() time.Duration {
	switch {
	case z.disrupted() || z.down <= 2 || 100*z.down < unhealthyShare*(z.ready+z.down):
		return interval
	case z.ready+z.down > largeZone:
		return slowInterval
	}
	return 0
}

func judge(ctx context.Context, s *projections.Snapshot, _ events.Key) (controllers.Result, error) {
	now := controllers.Now(ctx)
	zones, names := map[string]*zone{}, []string(nil)
	var tainted []*events.Object
	for o := range s.List("", "nodes", "") {
		node := nodeOf(o)
		if node == nil {
			continue
		}
		name := zoneOf(node)
		z := zones[name]
		if z == nil {
			z = &zone{}
			zones[name], names = z, append(names, name)
		}
		switch {
		case !counts(node):
		case readiness(node) == corev1.ConditionTrue:
			z.ready++
		default:
			z.down++
		}
		switch {
		case hasExecute(node):
			tainted = append(tainted, o)
			z.last = latest(z.last, node)
		case executeKey(node) != "":
			z.waiting = append(z.waiting, o)
		}
	}
	result := controllers.Result{Quiet: time.Duration(s.Len("", "nodes")) * quietPerNode}
	if all(zones) {
		// Nobody is heard: it's more likely us. No pod is sent away.
		for _, o := range tainted {
			changed := nodeOf(o).DeepCopy()
			changed.Spec.Taints = slices.DeleteFunc(changed.Spec.Taints, isExecute)
			result.Intents = append(result.Intents, controllers.Update(o, changed))
		}
		return result, nil
	}
	slices.Sort(names)
	for _, name := range names {
		z := zones[name]
		every := z.interval()
		if every == 0 || len(z.waiting) == 0 {
			continue
		}
		left := z.last.Add(every).Sub(now)
		if left <= 0 {
			result.Intents = append(result.Intents, send(slices.MinFunc(z.waiting, longestDown), now))
			left = every
		}
		if result.RequeueAfter == 0 || left < result.RequeueAfter {
			result.RequeueAfter = left
		}
	}
	return result, nil
}

// all reports that no zone has a node that is ready.
func all(zones map[string]*zone) bool {
	down := false
	for _, z := range zones {
		if z.ready > 0 {
			return false
		}
		down = down || z.down > 0
	}
	return down
}

// send gives a node the taint.
func send(o *events.Object, now time.Time) controllers.Intent {
	changed := nodeOf(o).DeepCopy()
	at := metav1.NewTime(now.Truncate(time.Second))
	changed.Spec.Taints = append(changed.Spec.Taints, corev1.Taint{Key: executeKey(changed), Effect: corev1.TaintEffectNoExecute, TimeAdded: &at})
	return controllers.Update(o, changed)
}

func longestDown(a, b *events.Object) int {
	x, y := condition(nodeOf(a), corev1.NodeReady), condition(nodeOf(b), corev1.NodeReady)
	if c := x.LastTransitionTime.Compare(y.LastTransitionTime.Time); c != 0 {
		return c
	}
	return strings.Compare(a.Key.Name, b.Key.Name)
}

// latest is t, or when the node got its taint.
func latest(t time.Time, node *corev1.Node) time.Time {
	for _, taint := range node.Spec.Taints {
		if isExecute(taint) && taint.TimeAdded != nil && taint.TimeAdded.After(t) {
			t = taint.TimeAdded.Time
		}
	}
	return t
}

func hasExecute(node *corev1.Node) bool { return slices.ContainsFunc(node.Spec.Taints, isExecute) }

func zoneOf(node *corev1.Node) string { return topology.GetZoneKey(node) }

func counts(node *corev1.Node) bool {
	_, is := node.Labels[excluded]
	return !is
}

// readiness is the status of the node's condition Ready, "" if it never reported.
func readiness(node *corev1.Node) corev1.ConditionStatus {
	if c := condition(node, corev1.NodeReady); c != nil {
		return c.Status
	}
	return ""
}
