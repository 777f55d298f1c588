package cri

import (
	"context"
	"net/url"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Exec implements runtime.Streams.
func (c *Client) Exec(ctx context.Context, r *runtimeapi.ExecRequest) (*url.URL, error) {
	a, err := c.runtime.Exec(ctx, r)
	if err != nil {
		return nil, classify(err, "prepare to execute in container %s", r.ContainerId)
	}
	return url.Parse(a.Url)
}

// Attach implements runtime.Streams.
func (c *Client) Attach(ctx context.Context, r *runtimeapi.AttachRequest) (*url.URL, error) {
	a, err := c.runtime.Attach(ctx, r)
	if err != nil {
		return nil, classify(err, "prepare to attach to container %s", r.ContainerId)
	}
	return url.Parse(a.Url)
}

// PortForward implements runtime.Streams.
func (c *Client) PortForward(ctx context.Context, r *runtimeapi.PortForwardRequest) (*url.URL, error) {
	a, err := c.runtime.PortForward(ctx, r)
	if err != nil {
		return nil, classify(err, "prepare to forward to sandbox %s", r.PodSandboxId)
	}
	return url.Parse(a.Url)
}
