package cri

import (
	"context"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// ImageStatus implements runtime.Images.
func (c *Client) ImageStatus(ctx context.Context, ref string) (*runtimeapi.Image, error) {
	r, err := c.images.ImageStatus(ctx, &runtimeapi.ImageStatusRequest{Image: &runtimeapi.ImageSpec{Image: ref}})
	if err != nil {
		return nil, classify(err, "status of image %s", ref)
	}
	return r.Image, nil
}

// PullImage implements runtime.Images.
func (c *Client) PullImage(ctx context.Context, ref string, auth *runtimeapi.AuthConfig, s *runtimeapi.PodSandboxConfig) error {
	_, err := c.images.PullImage(ctx, &runtimeapi.PullImageRequest{
		Image: &runtimeapi.ImageSpec{Image: ref}, Auth: auth, SandboxConfig: s})
	return classify(err, "pull image %s", ref)
}

// ListImages implements runtime.Images.
func (c *Client) ListImages(ctx context.Context) ([]*runtimeapi.Image, error) {
	r, err := c.images.ListImages(ctx, &runtimeapi.ListImagesRequest{})
	if err != nil {
		return nil, classify(err, "list images")
	}
	return r.Images, nil
}

// RemoveImage implements runtime.Images.
func (c *Client) RemoveImage(ctx context.Context, id string) error {
	_, err := c.images.RemoveImage(ctx, &runtimeapi.RemoveImageRequest{Image: &runtimeapi.ImageSpec{Image: id}})
	return gone(classify(err, "remove image %s", id))
}
