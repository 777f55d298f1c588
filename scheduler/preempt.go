package scheduler

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	corev1helpers "k8s.io/component-helpers/scheduling/corev1"
)

// candidate is a node on which a pod fits once its victims are gone.
type candidate struct {
	node       *node
	victims    []*bound // the most important first
	violations int      // of disruption budgets
}

// noVictims and noHelp are Kubernetes' words for nodes where nothing can be preempted.
const (
	noVictims = "No preemption victims found for incoming pod"
	noHelp    = "Preemption is not helpful for scheduling"
)

// findVictims chooses the node where a pod that fits nowhere can have room made for it
// with the least harm, nil if there is none. The message says what came of it.
func (c *cluster) findVictims(pod *corev1.Pod, cl *class, making func(*corev1.Pod) bool) (*candidate, string) {
	if c.ready == 0 {
		return nil, ""
	}
	if cl.neverPreempts {
		return nil, "preemption: not eligible due to preemptionPolicy=Never."
	}
	if own := c.nominated[pod.UID]; own != nil {
		if c.awaitsVictims(own, cl, making) {
			return nil, "preemption: not eligible due to a terminating pod on the nominated node."
		}
		defer own.node.without(own)()
	}
	found, refusals := c.candidates(cl)
	if len(found) == 0 {
		return nil, "preemption: " + nodesUnavailable(c.ready, refusals)
	}
	chosen := leastHarm(found)
	return chosen, fmt.Sprintf("preemption: found a potential placement for pod on node %s, preempting %d victims", chosen.node.name, len(chosen.victims))
}

// awaitsVictims reports that pods on the node kept for a pod are on their way out for it.
func (c *cluster) awaitsVictims(own *bound, cl *class, making func(*corev1.Pod) bool) bool {
	n := own.node
	if n.object == nil || cl.refusesObject(n) {
		return false
	}
	return slices.ContainsFunc(n.bound, func(b *bound) bool {
		return b.priority < cl.priority && (making(b.pod) || leavesForAnother(b.pod))
	})
}

// leavesForAnother reports that a pod is being deleted because it was preempted.
func leavesForAnother(pod *corev1.Pod) bool {
	if pod.DeletionTimestamp == nil {
		return false
	}
	c := conditionOf(pod, corev1.DisruptionTarget)
	return c != nil && c.Status == corev1.ConditionTrue && c.Reason == corev1.PodReasonPreemptionByScheduler
}

func conditionOf(pod *corev1.Pod, t corev1.PodConditionType) *corev1.PodCondition {
	for i := range pod.Status.Conditions {
		if pod.Status.Conditions[i].Type == t {
			return &pod.Status.Conditions[i]
		}
	}
	return nil
}

// candidates tries the nodes whose refusal can be mended by taking pods off, until there
// are enough to choose from; refusals counts why the others are none.
func (c *cluster) candidates(cl *class) (found []*candidate, refusals map[string]int) {
	refusals = map[string]int{}
	hopeful := c.hopeful(cl)
	if rest := c.ready - len(hopeful); rest > 0 {
		refusals[noHelp] += rest
	}
	if len(hopeful) == 0 {
		return nil, refusals
	}
	enough, whole := cl.plugins.preemption.enough(len(hopeful)), 0
	for i := range hopeful {
		n := hopeful[(c.preempted+i)%len(hopeful)]
		f, why := c.tryVictims(cl, n)
		if f == nil {
			for _, w := range why {
				refusals[w]++
			}
			continue
		}
		if found = append(found, f); f.violations == 0 {
			whole++
		}
		if whole > 0 && len(found) >= enough {
			c.preempted += i + 1 // the next pod begins elsewhere
			break
		}
	}
	return found, refusals
}

// hopeful are the nodes that refuse a class for a reason that goes away with pods, by index.
func (c *cluster) hopeful(cl *class) (out []*node) {
	if cl.claimed != nil && cl.claimed.problem != "" || cl.wanted != nil && cl.wanted.problem != "" {
		return nil
	}
	if cl.only != nil {
		for _, name := range cl.only {
			if n := c.byName[name]; n != nil && n.object != nil && !cl.refusesObject(n) && c.mendable(cl, n) {
				out = append(out, n)
			}
		}
		return out
	}
	for i := range cl.verdicts {
		if v := &cl.verdicts[i]; v.by >= 0 && int(v.by) >= cl.plugins.static || v.by == fits && cl.total[i] == refusedScore {
			if n := c.nodes[i]; c.mendable(cl, n) {
				out = append(out, n)
			}
		}
	}
	return out
}

func (c *cluster) mendable(cl *class, n *node) bool {
	f, refused := c.refuser(cl, n, cl.plugins.static, len(cl.plugins.filters))
	if !refused {
		return false
	}
	if l, ok := cl.plugins.filters[f].(lasting); ok && l.Lasting(c, cl, n) {
		return false
	}
	return true
}

// refusesObject reports that a static filter refuses a node.
func (cl *class) refusesObject(n *node) bool {
	return slices.ContainsFunc(cl.plugins.filters[:cl.plugins.static], func(f filter) bool { return f.Refuses(cl, n) })
}

// tryVictims takes all pods of lower priority off a node, in the view only, and puts back as
// many as it can: first those whose budgets would be overdrawn, and the more
// important before the less. What couldn't be put back are the victims.
func (c *cluster) tryVictims(cl *class, n *node) (*candidate, []string) {
	if n.lowest() >= cl.priority {
		return nil, []string{noVictims}
	}
	var lower []*bound
	for _, b := range n.bound {
		if b.priority < cl.priority {
			lower = append(lower, b)
		}
	}
	for _, b := range lower {
		c.tally(b, -1)
	}
	off := map[*bound]bool{}
	for _, b := range lower {
		off[b] = true
	}
	defer func() {
		for _, b := range lower {
			if off[b] {
				c.tally(b, 1)
			}
		}
	}()
	if why := c.reasons(cl, n); why != nil {
		return nil, why
	}
	slices.SortFunc(lower, moreImportant)
	violating := c.budgets.violated(lower)
	out := &candidate{node: n}
	for _, first := range []bool{true, false} {
		for i, b := range lower {
			if violating[i] != first {
				continue
			}
			c.tally(b, 1)
			off[b] = false
			if _, refused := c.refuser(cl, n, cl.plugins.static, len(cl.plugins.filters)); !refused {
				continue
			}
			c.tally(b, -1)
			off[b] = true
			out.victims = append(out.victims, b)
			if first {
				out.violations++
			}
		}
	}
	if len(out.victims) == 0 {
		return nil, []string{noVictims}
	}
	slices.SortFunc(out.victims, moreImportant)
	return out, nil
}

// moreImportant orders pods: the higher priority first, then what has run longer.
func moreImportant(a, b *bound) int {
	return cmp.Or(
		cmp.Compare(b.priority, a.priority),
		startOf(a.pod).Compare(startOf(b.pod).Time),
		strings.Compare(string(a.pod.UID), string(b.pod.UID)),
	)
}

// lowest is the lowest priority of the pods on a node, the highest there is if it has none.
func (n *node) lowest() int32 {
	if !n.lowestKnown {
		n.lowestKnown, n.lowestBound = true, 1<<31-1
		for _, b := range n.bound {
			n.lowestBound = min(n.lowestBound, b.priority)
		}
	}
	return n.lowestBound
}

// enough is how many candidates are found before one is chosen, of so many nodes.
func (p preemptionArgs) enough(nodes int) int {
	return min(nodes, max(nodes*p.percent/100, p.absolute))
}

// preemptionArgs are those of DefaultPreemption.
type preemptionArgs struct {
	percent  int // minCandidateNodesPercentage
	absolute int // minCandidateNodesAbsolute
	off      bool
}

var usualPreemption = preemptionArgs{percent: 10, absolute: 100}

// nodesUnavailable counts reasons in Kubernetes' words.
func nodesUnavailable(nodes int, reasons map[string]int) string {
	parts := make([]string, 0, len(reasons))
	for r, n := range reasons {
		parts = append(parts, fmt.Sprintf("%d %s", n, r))
	}
	slices.Sort(parts)
	return fmt.Sprintf("0/%d nodes are available: %s.", nodes, strings.Join(parts, ", "))
}

// neverPreempts reports that a pod only waits.
func neverPreempts(pod *corev1.Pod) bool {
	return pod.Spec.PreemptionPolicy != nil && *pod.Spec.PreemptionPolicy == corev1.PreemptNever
}

func priorityOf(pod *corev1.Pod) int32 { return corev1helpers.PodPriority(pod) }
