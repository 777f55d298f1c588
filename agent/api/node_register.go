package api

import (
	"context"
	"errors"
	"maps"
	"net/http"

	v1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/events"
)

const (
	typeJSON  = "application/json"
	typeMerge = "application/merge-patch+json"
)

// Register creates the node, or brings the labels of the one that exists up to
// date, and gives it as the API has it.
func (c *Client) Register(ctx context.Context, node *v1.Node) (*v1.Node, error) {
	out := &v1.Node{}
	err := c.do(ctx, http.MethodPost, "/api/v1/nodes", typeJSON, node, out)
	if err == nil || !errors.Is(err, events.ErrExists) {
		return out, err
	}
	path := "/api/v1/nodes/" + node.Name
	if err := c.do(ctx, http.MethodGet, path, "", nil, out); err != nil {
		return nil, err
	}
	missing := map[string]string{}
	for k, v := range node.Labels {
		if out.Labels[k] != v {
			missing[k] = v
		}
	}
	if len(missing) == 0 {
		return out, nil
	}
	patch := map[string]any{"metadata": map[string]any{"labels": maps.Clone(missing)}}
	return out, c.do(ctx, http.MethodPatch, path, typeMerge, patch, out)
}

// Node gives the node as the API has it.
func (c *Client) Node(ctx context.Context, name string) (*v1.Node, error) {
	out := &v1.Node{}
	return out, c.do(ctx, http.MethodGet, "/api/v1/nodes/"+name, "", nil, out)
}
