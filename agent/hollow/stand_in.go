package hollow

import (
	"context"
	"log/slog"
	"sync"

	v1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"

	"github.com/reckon-project/reckon/agent"
	"github.com/reckon-project/reckon/bus"
)

// firstStandIn keeps the addresses of new pods apart from those of a log that
// hollow nodes made.
const firstStandIn = 1024

// StandIn runs a pretended node in place of a real one until ctx is done: with
// its name, addresses, labels and capacity, and with the pods that it ran. Nothing of
// it leaves the process but what it says on its bus connection.
func StandIn(ctx context.Context, node *v1.Node, pods []*v1.Pod, b bus.Bus, number int, log *slog.Logger) error {
	r := NewRuntime(clock.RealClock{}, firstStandIn+number, 0)
	for _, p := range pods {
		r.Adopt(p)
	}
	var addresses []string
	for _, address := range node.Status.Addresses {
		if address.Type == v1.NodeInternalIP {
			addresses = append(addresses, address.Address)
		}
	}
	if len(addresses) == 0 {
		addresses = []string{"127.0.0.1"}
	}
	a, err := agent.New(agent.Options{
		Node: node.Name, Bus: b, Runtime: r, Capacity: node.Status.Capacity, NodeIPs: addresses,
		PodCIDR: node.Spec.PodCIDR, Labels: map[string]string{LabelHollow: "true"}, Log: log,
	})
	if err != nil {
		return err
	}
	return a.Run(ctx)
}

// LabelHollow is on the nodes that are only pretended.
const LabelHollow = "reckon.dev/hollow"

// Crew are stand-ins for many nodes.
type Crew struct {
	// Connect gives the bus connection of one node, with the identity node:<name>.
	Connect func(node string) (bus.Bus, error)
	Log     *slog.Logger

	mu      sync.Mutex
	number  int
	members map[string]*member
	wg      sync.WaitGroup
}

type member struct {
	uid  string
	stop context.CancelFunc
	done chan struct{}
}

// Join begins to stand in for a node, if nobody does yet.
func (c *Crew) Join(ctx context.Context, node *v1.Node, pods []*v1.Pod) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m := c.members[node.Name]; m != nil && m.uid == string(node.UID) {
		return nil
	}
	c.leave(node.Name)
	b, err := c.Connect(node.Name)
	if err != nil {
		return err
	}
	if c.members == nil {
		c.members = map[string]*member{}
	}
	ctx, stop := context.WithCancel(ctx)
	m := &member{uid: string(node.UID), stop: stop, done: make(chan struct{})}
	c.members[node.Name] = m
	number := c.number
	c.number++
	c.wg.Go(func() {
		defer close(m.done)
		defer b.Close()
		if err := StandIn(ctx, node, pods, b, number, c.Log); err != nil && ctx.Err() == nil {
			c.Log.Error("a stand-in ended", "node", node.Name, "err", err)
		}
	})
	return nil
}

// Leave ends standing in for a node that was removed from the cluster.
func (c *Crew) Leave(node string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leave(node)
}

func (c *Crew) leave(node string) {
	if m := c.members[node]; m != nil {
		m.stop()
		<-m.done
		delete(c.members, node)
	}
}

// Wait waits until all have ended after the context of Join did.
func (c *Crew) Wait() { c.wg.Wait() }
