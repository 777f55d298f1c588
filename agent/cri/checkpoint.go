package cri

import (
	"context"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/reckon-project/reckon/events"
)

// Checkpoint writes a container's state to a file. A daemon that doesn't know how,
// or has no CRIU, makes that an error of class events.ErrInvalid.
func (c *Client) Checkpoint(ctx context.Context, id, file string) error {
	_, err := c.runtime.CheckpointContainer(ctx, &runtimeapi.CheckpointContainerRequest{ContainerId: id, Location: file})
	if code := status.Code(err); code == codes.Unimplemented {
		return fmt.Errorf("%w: this containerd can't write checkpoints: it takes containerd 2 with CRIU", events.ErrInvalid)
	}
	return classify(err, "write a checkpoint of container %s", id)
}
