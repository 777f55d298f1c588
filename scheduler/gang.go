package scheduler

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
	corev1 "k8s.io/api/core/v1"
	schedulingv1beta1 "k8s.io/api/scheduling/v1beta1"
	"k8s.io/apimachinery/pkg/types"
)

// The annotations that make pods a gang, as in the pod template of a Job. A pod that
// names a PodGroup (spec.schedulingGroup) needs none of them.
const (
	AnnotationGang        = "scheduling.reckon.dev/gang"         // its name, one for all of its pods in a namespace
	AnnotationGangSize    = "scheduling.reckon.dev/gang-size"    // how many pods must fit at once
	AnnotationGangTimeout = "scheduling.reckon.dev/gang-timeout" // how long its pods may take to come: a duration, 5m if it isn't said
)

const (
	gangTimeout = 5 * time.Minute
	gangGrace   = time.Second // its pods come one after another: until then nothing is said
)

// gangKey names a gang.
type gangKey struct {
	namespace, name string
	group           bool // a PodGroup's
}

// gang is pods of which a number gets nodes at once, or none does.
//
//	gathering ──enough pods──► placed: one batch of events
//	    │                 └──► parked: fits as a whole when something changes
//	    └──timeout──► it is said; pods that come later still count
type gang struct {
	key     gangKey
	size    int // 0: not known, the PodGroup isn't there
	timeout time.Duration
	members map[*pending]struct{}
	running map[types.UID]struct{} // on nodes, or done with it
	since   time.Time              // it gathers
}

// gangs are those of the pods there are.
type gangs struct {
	all    map[gangKey]*gang
	groups map[gangKey]*schedulingv1beta1.PodGroup
}

func newGangs(s *projections.Snapshot) gangs {
	g := gangs{all: map[gangKey]*gang{}, groups: map[gangKey]*schedulingv1beta1.PodGroup{}}
	for o := range s.List(schedulingv1beta1.GroupName, "podgroups", "") {
		g.setGroup(o.Key, value[*schedulingv1beta1.PodGroup](o))
	}
	return g
}

// gangKeyOf names a pod's gang; ok is false if it is in none.
func gangKeyOf(pod *corev1.Pod) (key gangKey, ok bool) {
	if g := pod.Spec.SchedulingGroup; g != nil && g.PodGroupName != nil {
		return gangKey{pod.Namespace, *g.PodGroupName, true}, true
	}
	if len(pod.Annotations) == 0 {
		return key, false
	}
	if name := pod.Annotations[AnnotationGang]; name != "" && sizeSaid(pod) > 1 {
		return gangKey{pod.Namespace, name, false}, true
	}
	return key, false
}

func sizeSaid(pod *corev1.Pod) int {
	n, err := strconv.Atoi(pod.Annotations[AnnotationGangSize])
	if err != nil {
		return 0
	}
	return n
}

// of finds or makes a pod's gang; nil if it is in none.
func (g *gangs) of(pod *corev1.Pod) *gang {
	key, ok := gangKeyOf(pod)
	if !ok {
		return nil
	}
	out := g.all[key]
	if out == nil {
		out = &gang{key: key, timeout: gangTimeout, members: map[*pending]struct{}{}, running: map[types.UID]struct{}{}}
		g.all[key] = out
		out.follow(g.groups[key])
	}
	if !key.group {
		out.size = sizeSaid(pod)
		if d, err := time.ParseDuration(pod.Annotations[AnnotationGangTimeout]); err == nil && d > 0 {
			out.timeout = d
		}
	}
	return out
}

// follow takes a PodGroup's size. One without the policy of a gang is no gang: one of its
// pods is enough.
func (g *gang) follow(group *schedulingv1beta1.PodGroup) {
	switch {
	case !g.key.group:
	case group == nil:
		g.size = 0
	case group.Spec.SchedulingPolicy.Gang != nil:
		g.size = int(group.Spec.SchedulingPolicy.Gang.MinCount)
	default:
		g.size = 1
	}
}

// setGroup takes in a PodGroup's new version, and gives its gang if it has pods.
func (g *gangs) setGroup(key events.Key, group *schedulingv1beta1.PodGroup) *gang {
	k := gangKey{key.Namespace, key.Name, true}
	set(g.groups, k, group)
	if out := g.all[k]; out != nil {
		out.follow(group)
		return out
	}
	return nil
}

// joins takes in a pod that waits for a node.
func (g *gangs) joins(p *pending) {
	if p.gang = g.of(p.pod); p.gang != nil {
		p.gang.members[p] = struct{}{}
	}
}

// sees takes in the new version of a pod that doesn't wait for a node.
func (g *gangs) sees(pod *corev1.Pod) {
	of := g.of(pod)
	if of == nil {
		return
	}
	if pod.Spec.NodeName != "" && pod.Status.Phase != corev1.PodFailed {
		of.running[pod.UID] = struct{}{}
	} else {
		delete(of.running, pod.UID)
	}
	g.tidy(of)
}

// misses takes in that a pod is gone.
func (g *gangs) misses(pod *corev1.Pod) {
	if key, ok := gangKeyOf(pod); ok && g.all[key] != nil {
		delete(g.all[key].running, pod.UID)
		g.tidy(g.all[key])
	}
}

func (g *gangs) tidy(of *gang) {
	if len(of.members)+len(of.running) == 0 {
		delete(g.all, of.key)
	}
}

// inOrder are the members that wait, the first to be placed first.
func (g *gang) inOrder() (out []*pending) {
	for p := range g.members {
		if p.state != placed {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, before)
	return out
}

// going is how many have a node, or will when what is under way is stored.
func (g *gang) going() int {
	n := len(g.running)
	for p := range g.members {
		if _, counted := g.running[p.pod.UID]; p.state == placed && !counted {
			n++
		}
	}
	return n
}

// lacks reports that a pod must not be placed without the others of its gang.
func (p *pending) lacks() bool {
	return p.gang != nil && (p.gang.size == 0 || p.gang.size > 1 && p.gang.going() < p.gang.size)
}

// groupChanged takes in a PodGroup's new version: what waits for it is looked at again.
func (l *loop) groupChanged(c projections.Change) {
	if g := l.gangs.setGroup(c.Event.Key, value[*schedulingv1beta1.PodGroup](c.New)); g != nil {
		for _, p := range g.inOrder() {
			if p.state != active {
				l.queue.activate(p)
			}
		}
	}
}

// gather has a gang's pod wait for the others: quietly first, since they come one after another.
func (l *loop) gather(ctx context.Context, p *pending) error {
	g, now := p.gang, l.options.Clock.Now()
	if g.since.IsZero() {
		g.since = now
	}
	for _, at := range []struct {
		until time.Duration
		said  string
	}{{gangGrace, ""}, {g.timeout, g.gathers()}} {
		if due := g.since.Add(at.until); now.Before(due) {
			l.queue.wait(p, due)
			if at.said == "" {
				return nil
			}
			return l.say(ctx, p, at.said)
		}
	}
	l.queue.gather(p)
	return l.say(ctx, p, g.gathers()+", "+g.timeout.String()+" long by now")
}

func (g *gang) gathers() string {
	if g.size == 0 {
		return "waiting for pods's pod group " + strconv.Quote(g.key.name) + " to appear in scheduling queue"
	}
	return "waiting for minCount pods from a gang to appear in scheduling queue"
}

// say appends why a pod has no node, if it is news.
func (l *loop) say(ctx context.Context, p *pending, message string) error {
	reasons := reasonsIn(message)
	if reasons == p.reasons {
		return nil
	}
	p.reasons = reasons
	return l.start(ctx, p, l.refused(p, message))
}
