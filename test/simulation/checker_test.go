package simulation

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/agent/runtime"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// compareEvery says at which positions folds are compared as they go.
const compareEvery = 8

// checker folds the log with nothing in between, and looks at everything after
// every step.
type checker struct {
	world      *world
	projection *projections.Projection
	cancel     context.CancelFunc
	ended      chan struct{}

	seen    uint64
	elected map[string]uint64
	bound   map[string]string      // uid: node
	pods    map[string]*corev1.Pod // by uid, also those that are gone
	states  map[uint64][sha256.Size]byte
	looked  map[string]uint64 // by replica: the position compared last
	void    map[uint64]bool
}

func newChecker(w *world) *checker {
	ctx, cancel := context.WithCancel(background)
	c := &checker{
		world: w, projection: projections.New(w.memory.Log(), projections.Logger(w.logger)), cancel: cancel, ended: make(chan struct{}),
		elected: map[string]uint64{}, bound: map[string]string{}, pods: map[string]*corev1.Pod{},
		states: map[uint64][sha256.Size]byte{}, looked: map[string]uint64{}, void: map[uint64]bool{},
	}
	go func() {
		defer close(c.ended)
		if err := c.projection.Run(ctx); ctx.Err() == nil {
			w.fail(fmt.Errorf("the checker's projection ended: %w", cause(err)))
		}
	}()
	return c
}

func (c *checker) stop() {
	c.cancel()
	<-c.ended
}

// look checks what must hold after every step; everything is quiet.
func (c *checker) look() {
	if c.world.failed() {
		return
	}
	s := c.projection.Snapshot()
	if s.Position() > c.seen {
		for changes, err := range c.projection.Changes(background, c.seen) {
			if err != nil {
				c.world.fail(err)
				return
			}
			for _, change := range changes {
				if err := c.change(change); err != nil {
					c.world.fail(fmt.Errorf("event %d: %w", change.Event.Sequence, err))
				}
			}
			c.seen = changes[len(changes)-1].Event.Sequence
			if c.seen >= s.Position() {
				break
			}
		}
		if c.seen%compareEvery == 0 {
			c.states[c.seen] = c.hash(s)
		}
	}
	if err := c.machines(s); err != nil {
		c.world.fail(err)
	}
	for _, r := range append([]*replica{c.world.server}, c.world.replicas...) {
		c.compare(r)
	}
}

// change checks one event against what came before it.
func (c *checker) change(change projections.Change) error {
	e := change.Event
	if change.Void != nil {
		c.void[e.Sequence] = true
	}
	if e.Type == events.Elected {
		c.elected[e.Component] = e.Sequence
		return nil
	}
	if e.Epoch != 0 && e.Epoch < c.elected[e.Component] && (change.Void == nil || change.New != nil && change.New.Version == e.Sequence) {
		return fmt.Errorf("it has an effect, but its leader of %s (since %d) was replaced at %d", e.Component, e.Epoch, c.elected[e.Component])
	}
	if change.New == nil {
		return nil
	}
	pod, ok := change.New.Value.(*corev1.Pod)
	if !ok {
		return nil
	}
	uid := string(pod.UID)
	c.pods[uid] = pod
	if was, ok := c.bound[uid]; ok && was != pod.Spec.NodeName {
		return fmt.Errorf("pod %s was bound to %s and is bound to %q now", pod.Name, was, pod.Spec.NodeName)
	}
	if pod.Spec.NodeName != "" {
		c.bound[uid] = pod.Spec.NodeName
	}
	return c.sets(c.projection.Snapshot(), pod)
}

// running names the pods with a container that runs on a node.
func running(n *node) (uids []string, err error) {
	sandboxes, err := n.runtime.List(background, "")
	if err != nil {
		return nil, err
	}
	for _, s := range sandboxes {
		for _, item := range s.Containers {
			status, err := n.runtime.ContainerStatus(background, item.Id)
			if err != nil {
				return nil, err
			}
			if status.State.String() == "CONTAINER_RUNNING" {
				uids = append(uids, s.Labels[runtime.LabelPodUID])
				break
			}
		}
	}
	return uids, nil
}

// machines checks what really runs, whatever the log says.
func (c *checker) machines(s *projections.Snapshot) error {
	where := map[string]string{}
	for _, n := range c.world.nodes {
		uids, err := running(n)
		if err != nil {
			return err
		}
		var cpu, memory, count int64
		for _, uid := range uids {
			if other, ok := where[uid]; ok {
				return fmt.Errorf("pod %s runs on %s and on %s", c.name(uid), other, n.name)
			}
			where[uid] = n.name
			pod := c.pods[uid]
			if pod == nil || c.bound[uid] != n.name {
				return fmt.Errorf("%s runs %s, which the log doesn't bind to it", n.name, c.name(uid))
			}
			podCPU, podMemory := requests(pod)
			cpu, memory, count = cpu+podCPU, memory+podMemory, count+1
		}
		if cpu > n.capacity.Cpu().MilliValue() || memory > n.capacity.Memory().Value() || count > n.capacity.Pods().Value() {
			return fmt.Errorf("%s runs more than it has: %d pods with requests of %dm and %d bytes: %s", n.name, count, cpu, memory, c.describe(s, uids))
		}
	}
	return c.ordinals(where)
}

// describe says what the log knows of pods.
func (c *checker) describe(s *projections.Snapshot, uids []string) string {
	var out []string
	for _, uid := range uids {
		text := c.name(uid) + " gone"
		if o := s.ByUID(uid); o.Exists() {
			pod := o.Value.(*corev1.Pod)
			text = fmt.Sprintf("%s %s on %s", c.name(uid), pod.Status.Phase, pod.Spec.NodeName)
			if pod.DeletionTimestamp != nil {
				text += " deleting"
			}
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

func (c *checker) name(uid string) string {
	if pod := c.pods[uid]; pod != nil {
		return pod.Name + " (" + uid + ")"
	}
	return uid
}

// compare checks a replica's state against the checker's at the same position.
func (c *checker) compare(r *replica) {
	s := r.projection.Load().Snapshot()
	at := s.Position()
	want, ok := c.states[at]
	if !ok || at == c.looked[r.name] {
		return
	}
	c.looked[r.name] = at
	if c.hash(s) != want {
		c.world.fail(fmt.Errorf("%s folded the log up to %d to another state", r.name, at))
	}
}

func (c *checker) hash(s *projections.Snapshot) [sha256.Size]byte {
	return sha256.Sum256(c.encode(s))
}

func (c *checker) encode(s *projections.Snapshot) []byte {
	var b bytes.Buffer
	if err := s.Encode(&b); err != nil {
		c.world.fail(err)
	}
	return b.Bytes()
}
