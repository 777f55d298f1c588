package main

import (
	"context"
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// awaitNode waits until this process's node reported that it is ready, and its
// agent answers: what the log says may be from before.
func (p *plane) awaitNode(ctx context.Context) error {
	ready := func(s *projections.Snapshot) bool {
		for n := range projections.List[*corev1.Node](s, "", "nodes", "") {
			if n.Name != p.options.nodeName {
				continue
			}
			for _, c := range n.Status.Conditions {
				if c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue && len(n.Spec.Taints) == 0 {
					return true
				}
			}
		}
		return false
	}
	s := p.log.Snapshot()
	if ready(s) {
		return p.awaitAgent(ctx)
	}
	for _, err := range p.log.Changes(ctx, s.Position()) {
		if err != nil {
			return err
		}
		if ready(p.log.Snapshot()) {
			return p.awaitAgent(ctx)
		}
	}
	return ctx.Err()
}

// awaitAgent waits until the agent of this process's node listens, so that logs and
// exec work from then on.
func (p *plane) awaitAgent(ctx context.Context) error {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		conn, err := p.bus.Dial(ctx, "tunnel."+events.EncodeToken(p.options.nodeName)+".conn")
		if err == nil {
			return conn.Close()
		}
		if !errors.Is(err, events.ErrUnavailable) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}
