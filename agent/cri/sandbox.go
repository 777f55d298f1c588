package cri

import (
	"context"
	"errors"
	"slices"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/reckon-project/reckon/agent/runtime"
	"github.com/reckon-project/reckon/events"
)

// List implements runtime.Runtime.
func (c *Client) List(ctx context.Context, uid string) ([]runtime.Sandbox, error) {
	all, err := c.ListAll(ctx, uid)
	return slices.DeleteFunc(all, func(s runtime.Sandbox) bool { return s.Labels[runtime.LabelPodUID] == "" }), err
}

// ListAll is List with the sandboxes that somebody else made on this containerd.
func (c *Client) ListAll(ctx context.Context, uid string) ([]runtime.Sandbox, error) {
	sf, cf := &runtimeapi.PodSandboxFilter{}, &runtimeapi.ContainerFilter{}
	if uid != "" {
		sf.LabelSelector = map[string]string{runtime.LabelPodUID: uid}
		cf.LabelSelector = sf.LabelSelector
	}
	sandboxes, err := c.runtime.ListPodSandbox(ctx, &runtimeapi.ListPodSandboxRequest{Filter: sf})
	if err != nil {
		return nil, classify(err, "list sandboxes")
	}
	containers, err := c.runtime.ListContainers(ctx, &runtimeapi.ListContainersRequest{Filter: cf})
	if err != nil {
		return nil, classify(err, "list containers")
	}
	out := make([]runtime.Sandbox, 0, len(sandboxes.Items))
	at := make(map[string]int, len(sandboxes.Items))
	for _, s := range sandboxes.Items {
		at[s.Id] = len(out)
		out = append(out, runtime.Sandbox{PodSandbox: s})
	}
	for _, container := range containers.Containers {
		if i, ok := at[container.PodSandboxId]; ok {
			out[i].Containers = append(out[i].Containers, container)
		}
	}
	return out, nil
}

// SandboxStatus implements runtime.Runtime.
func (c *Client) SandboxStatus(ctx context.Context, id string) (*runtimeapi.PodSandboxStatus, error) {
	r, err := c.runtime.PodSandboxStatus(ctx, &runtimeapi.PodSandboxStatusRequest{PodSandboxId: id})
	if err != nil {
		return nil, classify(err, "status of sandbox %s", id)
	}
	return r.Status, nil
}

// RunSandbox implements runtime.Runtime.
func (c *Client) RunSandbox(ctx context.Context, config *runtimeapi.PodSandboxConfig) (string, error) {
	r, err := c.runtime.RunPodSandbox(ctx, &runtimeapi.RunPodSandboxRequest{Config: config, RuntimeHandler: config.Annotations[runtime.AnnotationHandler]})
	if err != nil {
		return "", classify(err, "run the sandbox of %s/%s", config.Metadata.Namespace, config.Metadata.Name)
	}
	return r.PodSandboxId, nil
}

// StopSandbox implements runtime.Runtime.
func (c *Client) StopSandbox(ctx context.Context, id string) error {
	_, err := c.runtime.StopPodSandbox(ctx, &runtimeapi.StopPodSandboxRequest{PodSandboxId: id})
	return gone(classify(err, "stop sandbox %s", id))
}

// RemoveSandbox implements runtime.Runtime.
func (c *Client) RemoveSandbox(ctx context.Context, id string) error {
	_, err := c.runtime.RemovePodSandbox(ctx, &runtimeapi.RemovePodSandboxRequest{PodSandboxId: id})
	return gone(classify(err, "remove sandbox %s", id))
}

// gone forgives that what was to go is gone already.
func gone(err error) error {
	if errors.Is(err, events.ErrNotFound) {
		return nil
	}
	return err
}
