package scheduler

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
)

const (
	maxExtending = 64               // pods about which extenders are asked at once
	extendWithin = 10 * time.Minute // after that they are asked anew
)

// extensions asks extenders beside the loop.
type extensions struct {
	extenders []*extender
	outcomes  *outcomes
	slots     chan struct{}
	group     sync.WaitGroup
}

func newExtensions(c *Config, o *outcomes) *extensions {
	x := &extensions{outcomes: o, slots: make(chan struct{}, maxExtending)}
	if c != nil {
		x.extenders = c.extenders
	}
	return x
}

// extension is what extenders say of a pod's nodes.
type extension struct {
	scores  map[string]int64 // of the nodes that will do, on top of their own
	refused map[string]int   // nodes by reason
	err     error
}

// extended gives the node that extenders agree to. done: the pod waits, for their
// answer or because of it. Neither: nothing is to be asked.
func (l *loop) extended(ctx context.Context, p *pending) (n *node, done bool, err error) {
	if len(l.extensions.extenders) == 0 || !slices.ContainsFunc(l.extensions.extenders, func(e *extender) bool { return e.interested(p.pod) }) {
		return nil, false, nil
	}
	nodes := l.cluster.fitting(p.class)
	if len(nodes) == 0 {
		p.extension = nil
		return nil, false, nil
	}
	answer := p.extension
	if p.extension = nil; answer == nil {
		l.ask(ctx, p, nodes)
		return nil, true, nil
	}
	var top int64
	for _, candidate := range nodes {
		extra, ok := answer.scores[candidate.name]
		if !ok {
			continue
		}
		if _, score := l.cluster.scored(p.class, candidate); n == nil || score+extra > top || score+extra == top && candidate.name < n.name {
			n, top = candidate, score+extra
		}
	}
	if n != nil {
		return n, false, nil
	}
	l.retryLater(p)
	message := answer.words(l.cluster.ready)
	reasons := reasonsIn(message)
	if reasons == p.reasons {
		return nil, true, nil
	}
	p.reasons = reasons
	return nil, true, l.start(ctx, p, l.refused(p, message))
}

// words say why no node is left.
func (x *extension) words(nodes int) string {
	if x.err != nil {
		return fmt.Sprintf("0/%d nodes are available: %v.", nodes, x.err)
	}
	var parts []string
	for _, reason := range slices.Sorted(maps.Keys(x.refused)) {
		parts = append(parts, fmt.Sprintf("%d %s", x.refused[reason], reason))
	}
	return fmt.Sprintf("0/%d nodes are available: %s.", nodes, strings.Join(parts, ", "))
}

// fitting are the nodes that a class of pods fits on.
func (c *cluster) fitting(cl *class) (out []*node) {
	if schedule(c, cl) == nil {
		return nil
	}
	for _, n := range c.nodes {
		if n != nil && n.object != nil && !slices.ContainsFunc(cl.plugins.filters, func(f filter) bool { return f.Refuses(cl, n) }) {
			out = append(out, n)
		}
	}
	return out
}

// ask puts the question; the pod waits for the answer.
func (l *loop) ask(ctx context.Context, p *pending, nodes []*node) {
	objects := make([]*corev1.Node, 0, len(nodes))
	for _, n := range nodes {
		objects = append(objects, n.object)
	}
	l.attempts++
	p.attempt = l.attempts
	l.queue.wait(p, l.options.Clock.Now().Add(extendWithin))
	x, pod, number := l.extensions, p.pod, p.attempt
	x.group.Go(func() {
		select {
		case x.slots <- struct{}{}:
			defer func() { <-x.slots }()
		case <-ctx.Done():
			return
		}
		x.outcomes.fail(failure{pod: p, attempt: number, extension: x.consult(ctx, pod, objects)})
	})
}

// consult asks all extenders, one after the other.
func (x *extensions) consult(ctx context.Context, pod *corev1.Pod, nodes []*corev1.Node) *extension {
	out := &extension{scores: map[string]int64{}, refused: map[string]int{}}
	for _, e := range x.extenders {
		if !e.interested(pod) {
			continue
		}
		kept, err := e.keep(ctx, pod, nodes, out.refused)
		if err != nil && !e.ignorable {
			out.err = err
			return out
		}
		if err == nil {
			nodes = kept
		}
		if len(nodes) == 0 {
			return out
		}
	}
	for _, n := range nodes {
		out.scores[n.Name] = 0
	}
	for _, e := range x.extenders {
		if e.interested(pod) {
			e.score(ctx, pod, nodes, out.scores)
		}
	}
	return out
}

// answered takes an answer in: the pod is decided with it.
func (l *loop) answered(f failure) {
	p := f.pod
	if l.queue.pods[p.object.Key] != p || p.attempt != f.attempt || p.state != waiting {
		return // gone, or changed since: they are asked anew
	}
	p.extension = f.extension
	l.queue.activate(p)
}
