package scheduler

import (
	"context"
	"fmt"
	"time"

	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Backtest is what a part of the past would have been with another
// configuration, beside what it was.
type Backtest struct {
	From     uint64    `json:"from"`
	To       uint64    `json:"to"`
	Began    time.Time `json:"began"` // of the first event in it
	Ended    time.Time `json:"ended"` // of the last one
	Recorded Outcome   `json:"recorded"`
	Tried    Outcome   `json:"tried"`
	Same     int       `json:"same"`  // pods placed on the node on record
	Moved    []Move    `json:"moved"` // pods placed on another one, in order
}

// Outcome sums up the decisions of one side. The means are over the moments
// after each decision.
type Outcome struct {
	Placed    int     `json:"placed"`  // pods
	Waited    int     `json:"waited"`  // pods that fitted nowhere when they were first looked at
	Waiting   int     `json:"waiting"` // pods that wait at the end
	Nodes     float64 `json:"nodes"`   // mean number of nodes with pods on them
	MostNodes int     `json:"mostNodes"`
	CPU       float64 `json:"cpu"`    // mean share requested of what the nodes with pods have
	Memory    float64 `json:"memory"` // mean share requested of what the nodes with pods have
}

// Move is a pod that would be on another node.
type Move struct {
	At       uint64     `json:"at"` // the decision on record; 0: none
	Pod      events.Key `json:"pod"`
	Recorded string     `json:"recorded"` // "": it waited
	Tried    string     `json:"tried"`    // "": it would wait
	Why      Placement  `json:"why"`      // what led to Tried
}

// RunBacktest plays the log after position from up to to, and places each pod
// that the scheduler decided about in it a second time, by a configuration (nil: the default one).
//
// What is on record goes in: pods that come and go, nodes that join, change and
// are lost, pods that somebody else bound. What the tried configuration decides stays
// decided: a pod that it put elsewhere takes up that node until the pod ends. A
// pod is decided at the position of its first decision on record, and again
// when something changes if it fits nowhere.
//
// It reads no clock and no chance: the same log and configuration give the same
// result. progress, if there is one, is told of positions reached.
func RunBacktest(ctx context.Context, p *projections.Projection, from, to uint64, config *Config, progress func(position uint64)) (*Backtest, error) {
	base, err := p.At(ctx, from)
	if err != nil {
		return nil, fmt.Errorf("backtest from %d: %w", from, err)
	}
	b := newBacktest(base, config)
	b.report.From, b.report.To = from, to
	for changes, err := range p.History(ctx, from, to) {
		if err != nil {
			return nil, fmt.Errorf("backtest from %d to %d: %w", from, to, err)
		}
		for _, c := range changes {
			b.take(c)
		}
		if progress != nil {
			progress(changes[len(changes)-1].Event.Sequence)
		}
	}
	return b.end(), nil
}

// backtest is one under way: the cluster as it was and as it would be.
type backtest struct {
	recorded *cluster
	tried    *cluster
	queue    *queue // pods that the tried configuration found no node for
	woken    uint64
	pods     map[types.UID]*replayed
	order    []*replayed
	report   Backtest
	samples  int
}

// replayed is a pod that the scheduler decided about.
type replayed struct {
	at              uint64
	pod             events.Key
	recorded, tried string
	why             Placement
}

func newBacktest(base *projections.Snapshot, config *Config) *backtest {
	return &backtest{
		recorded: newClusterOf(base, nil),
		tried:    newClusterOf(base, config),
		queue:    newQueue(),
		pods:     map[types.UID]*replayed{},
	}
}

// take plays one event.
func (b *backtest) take(c projections.Change) {
	if b.report.Began.IsZero() {
		b.report.Began = c.Event.Time
	}
	b.report.Ended = c.Event.Time
	k := c.Event.Key
	if c.Void != nil || k.Group != "" && k.Group != "storage.k8s.io" && k.Group != "apps" && k.Group != resourcev1.GroupName {
		return
	}
	for _, side := range []*cluster{b.recorded, b.tried} {
		switch k.Resource {
		case "nodes":
			side.setNode(k.Name, value[*corev1.Node](c.New))
		case "services", "namespaces", "replicationcontrollers", "replicasets", "statefulsets":
			side.takeOwner(c)
		}
	}
	if k.Resource == "pods" {
		b.takePod(c)
	}
	b.takeVolumes(c)
	b.wake()
	b.recorded.trim()
	b.tried.trim()
}

func (b *backtest) takePod(c projections.Change) {
	old, pod := value[*corev1.Pod](c.Old), value[*corev1.Pod](c.New)
	if old != nil && (pod == nil || pod.UID != old.UID) {
		b.forget(c.Event.Key, old.UID)
	}
	if pod == nil {
		return
	}
	r := b.pods[pod.UID]
	switch {
	case c.Event.Source == Component && c.Event.Type == events.Scheduled:
		r = b.decide(c, old)
		r.at, r.recorded = c.Event.Sequence, pod.Spec.NodeName
		b.recorded.setPod(pod)
		b.report.Recorded.Placed++
		b.sample()
	case c.Event.Source == Component && c.Event.Type == events.Unschedulable:
		if r == nil {
			b.report.Recorded.Waited++
		}
		b.decide(c, old)
	case r == nil: // bound by somebody else, or not decided yet
		b.recorded.setPod(pod)
		b.tried.setPod(pod)
	default:
		b.recorded.setPod(pod)
		if p := b.queue.pods[c.Event.Key]; p != nil && !b.tried.schedules(pod) && pod.Spec.NodeName == "" {
			b.queue.remove(p) // it is being deleted before it had a node
		}
		if r.tried != "" {
			elsewhere := *pod
			elsewhere.Spec.NodeName = r.tried
			b.tried.setPod(&elsewhere)
		}
	}
}

// forget takes out a pod that is gone.
func (b *backtest) forget(k events.Key, uid types.UID) {
	b.recorded.removePod(uid)
	b.tried.removePod(uid)
	if p := b.queue.pods[k]; p != nil {
		b.queue.remove(p)
	}
	delete(b.pods, uid)
}

// decide gives the pod a node by the tried configuration, once. The pod is as it
// was before its decision on record.
func (b *backtest) decide(c projections.Change, pod *corev1.Pod) *replayed {
	if r := b.pods[pod.UID]; r != nil {
		return r
	}
	r := &replayed{pod: c.Event.Key}
	b.pods[pod.UID] = r
	b.order = append(b.order, r)
	p := &pending{object: c.Old, pod: pod, class: b.tried.classOf(pod), arrival: c.Old.Version, claims: waitsFor(pod)}
	b.queue.add(p)
	if !b.place(p, r) {
		b.report.Tried.Waited++
	}
	return r
}

// place binds a pod of the queue, or parks it.
func (b *backtest) place(p *pending, r *replayed) bool {
	n := schedule(b.tried, p.class)
	if n == nil {
		p.class.refusedBy = p.class.refusers()
		b.queue.park(p)
		return false
	}
	r.tried, r.why = n.name, explain(b.tried, p.class, n)
	b.tried.bind(p.pod, n, p.class.demand)
	if p.claims != nil {
		b.tried.volumes.use(p.pod)
	}
	b.queue.remove(p)
	b.report.Tried.Placed++
	return true
}

// wake places the parked pods that fit by now.
func (b *backtest) wake() {
	b.recorded.topology.settle()
	refreshed := b.tried.refresh(b.queue)
	from := b.woken
	if b.woken = b.tried.end(); from == b.woken && !refreshed {
		return
	}
	b.tried.wake(b.queue, from, func(*corev1.Pod) bool { return false })
	b.placeActive()
}

func (b *backtest) placeActive() {
	for b.queue.active.Len() > 0 {
		p := b.queue.active.items[0]
		b.place(p, b.pods[p.pod.UID])
	}
}

// sample adds up what both sides use now.
func (b *backtest) sample() {
	b.samples++
	b.report.Recorded.add(b.recorded)
	b.report.Tried.add(b.tried)
}

func (o *Outcome) add(c *cluster) {
	nodes, cpu, memory := c.use()
	o.Nodes += float64(nodes)
	o.MostNodes = max(o.MostNodes, nodes)
	o.CPU += cpu
	o.Memory += memory
}

// use tells how many nodes have pods, and what share of their cpu and memory is requested.
func (c *cluster) use() (nodes int, cpu, memory float64) {
	var used, of [2]int64
	for _, n := range c.nodes {
		if n == nil || n.object == nil || n.pods == 0 {
			continue
		}
		nodes++
		for i, resource := range []int{cpuIndex, memoryIndex} {
			used[i] += at(n.used, resource)
			of[i] += at(n.allocatable, resource)
		}
	}
	return nodes, share(used[0], of[0]), share(used[1], of[1])
}

func share(used, of int64) float64 {
	if of == 0 {
		return 0
	}
	return float64(used) / float64(of)
}

// end sums up.
func (b *backtest) end() *Backtest {
	for _, o := range []*Outcome{&b.report.Recorded, &b.report.Tried} {
		if b.samples > 0 {
			o.Nodes /= float64(b.samples)
			o.CPU /= float64(b.samples)
			o.Memory /= float64(b.samples)
		}
	}
	for _, r := range b.pods {
		if r.recorded == "" {
			b.report.Recorded.Waiting++
		}
		if r.tried == "" {
			b.report.Tried.Waiting++
		}
	}
	for _, r := range b.order {
		if r.recorded == r.tried {
			if r.recorded != "" {
				b.report.Same++
			}
			continue
		}
		b.report.Moved = append(b.report.Moved, Move{At: r.at, Pod: r.pod, Recorded: r.recorded, Tried: r.tried, Why: r.why})
	}
	return &b.report
}
