package api

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"strconv"

	v1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/events"
)

const (
	typeJSON  = "application/json"
	typeMerge = "application/merge-patch+json"
)

// Register creates the node, or brings the labels of the one that exists up to
// date, and gives it as the API has it, with the sequence of the event that
// this took (0: none was needed).
func (c *Client) Register(ctx context.Context, node *v1.Node) (*v1.Node, uint64, error) {
	out := &v1.Node{}
	err := c.do(ctx, http.MethodPost, "/api/v1/nodes", typeJSON, node, out)
	if err == nil || !errors.Is(err, events.ErrExists) {
		return out, version(out), err
	}
	path := "/api/v1/nodes/" + node.Name
	if err := c.do(ctx, http.MethodGet, path, "", nil, out); err != nil {
		return nil, 0, err
	}
	missing := map[string]string{}
	for k, v := range node.Labels {
		if out.Labels[k] != v {
			missing[k] = v
		}
	}
	if len(missing) == 0 {
		return out, 0, nil
	}
	patch := map[string]any{"metadata": map[string]any{"labels": maps.Clone(missing)}}
	err = c.do(ctx, http.MethodPatch, path, typeMerge, patch, out)
	return out, version(out), err
}

// version is the sequence of the newest event that an object holds.
func version(node *v1.Node) uint64 {
	n, err := strconv.ParseUint(node.ResourceVersion, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// Node gives the node as the API has it.
func (c *Client) Node(ctx context.Context, name string) (*v1.Node, error) {
	out := &v1.Node{}
	return out, c.do(ctx, http.MethodGet, "/api/v1/nodes/"+name, "", nil, out)
}
