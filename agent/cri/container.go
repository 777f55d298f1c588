package cri

import (
	"context"
	"math"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// CreateContainer implements runtime.Runtime.
func (c *Client) CreateContainer(ctx context.Context, sandbox string, config *runtimeapi.ContainerConfig, s *runtimeapi.PodSandboxConfig) (string, error) {
	r, err := c.runtime.CreateContainer(ctx, &runtimeapi.CreateContainerRequest{PodSandboxId: sandbox, Config: config, SandboxConfig: s})
	if err != nil {
		return "", classify(err, "create container %s", config.Metadata.Name)
	}
	return r.ContainerId, nil
}

// StartContainer implements runtime.Runtime.
func (c *Client) StartContainer(ctx context.Context, id string) error {
	_, err := c.runtime.StartContainer(ctx, &runtimeapi.StartContainerRequest{ContainerId: id})
	return classify(err, "start container %s", id)
}

// StopContainer implements runtime.Runtime.
func (c *Client) StopContainer(ctx context.Context, id string, grace time.Duration) error {
	seconds := int64(math.Ceil(max(grace, 0).Seconds()))
	_, err := c.runtime.StopContainer(ctx, &runtimeapi.StopContainerRequest{ContainerId: id, Timeout: seconds})
	return gone(classify(err, "stop container %s", id))
}

// RemoveContainer implements runtime.Runtime.
func (c *Client) RemoveContainer(ctx context.Context, id string) error {
	_, err := c.runtime.RemoveContainer(ctx, &runtimeapi.RemoveContainerRequest{ContainerId: id})
	return gone(classify(err, "remove container %s", id))
}

// ContainerStatus implements runtime.Runtime.
func (c *Client) ContainerStatus(ctx context.Context, id string) (*runtimeapi.ContainerStatus, error) {
	r, err := c.runtime.ContainerStatus(ctx, &runtimeapi.ContainerStatusRequest{ContainerId: id})
	if err != nil {
		return nil, classify(err, "status of container %s", id)
	}
	return r.Status, nil
}

// ReopenLog implements runtime.Runtime.
func (c *Client) ReopenLog(ctx context.Context, id string) error {
	_, err := c.runtime.ReopenContainerLog(ctx, &runtimeapi.ReopenContainerLogRequest{ContainerId: id})
	return classify(err, "reopen the log of container %s", id)
}

// ExecSync implements runtime.Runtime. Standard output and error come one after the other.
func (c *Client) ExecSync(ctx context.Context, id string, command []string, timeout time.Duration) ([]byte, int, error) {
	r, err := c.runtime.ExecSync(ctx, &runtimeapi.ExecSyncRequest{
		ContainerId: id, Cmd: command, Timeout: int64(math.Ceil(timeout.Seconds()))})
	if err != nil {
		return nil, 0, classify(err, "execute %q in container %s", command, id)
	}
	return append(r.Stdout, r.Stderr...), int(r.ExitCode), nil
}

// Stats implements runtime.Runtime.
func (c *Client) Stats(ctx context.Context) ([]*runtimeapi.ContainerStats, error) {
	r, err := c.runtime.ListContainerStats(ctx, &runtimeapi.ListContainerStatsRequest{})
	if err != nil {
		return nil, classify(err, "list container statistics")
	}
	return r.Stats, nil
}

// UpdateResources implements runtime.Runtime.
func (c *Client) UpdateResources(ctx context.Context, id string, r *runtimeapi.LinuxContainerResources) error {
	_, err := c.runtime.UpdateContainerResources(ctx, &runtimeapi.UpdateContainerResourcesRequest{ContainerId: id, Linux: r})
	return classify(err, "update the resources of container %s", id)
}
