package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	v1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/events"
)

const (
	typeJSON  = "application/json"
	typeMerge = "application/merge-patch+json"
)

// Register creates the node, or brings the labels and annotations of the one that exists up to
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
	labels, annotations := missing(node.Labels, out.Labels), missing(node.Annotations, out.Annotations)
	if len(labels) == 0 && len(annotations) == 0 {
		return out, 0, nil
	}
	patch := map[string]any{"metadata": map[string]any{"labels": labels, "annotations": annotations}}
	err = c.do(ctx, http.MethodPatch, path, typeMerge, patch, out)
	return out, version(out), err
}

// missing gives what is not so in have.
func missing(want, have map[string]string) map[string]string {
	out := map[string]string{}
	for k, v := range want {
		if have[k] != v {
			out[k] = v
		}
	}
	return out
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
