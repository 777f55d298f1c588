package cri

import (
	"context"
	"fmt"

	apievents "github.com/containerd/containerd/api/events"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/typeurl/v2"

	"github.com/reckon-project/reckon/agent/runtime"
)

// Events implements runtime.Runtime by containerd's event stream.
func (c *Client) Events(ctx context.Context, f func(runtime.Event)) error {
	ctx = namespaces.WithNamespace(ctx, Namespace)
	envelopes, errs := c.daemon.EventService().Subscribe(ctx, `namespace==k8s.io,topic=="/tasks/exit"`, `namespace==k8s.io,topic=="/tasks/oom"`)
	for {
		select {
		case err := <-errs:
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("containerd's events ended: %w", err)
		case envelope := <-envelopes:
			event, err := typeurl.UnmarshalAny(envelope.Event)
			if err != nil {
				return fmt.Errorf("read an event of containerd on %s: %w", envelope.Topic, err)
			}
			switch e := event.(type) {
			case *apievents.TaskExit:
				if e.ID == e.ContainerID { // not the end of an exec
					f(runtime.Event{ID: e.ContainerID})
				}
			case *apievents.TaskOOM:
				f(runtime.Event{ID: e.ContainerID, OOM: true})
			}
		}
	}
}
