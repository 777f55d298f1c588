package api

import (
	"context"
	"net/http"

	nodev1 "k8s.io/api/node/v1"
)

// Handler gives the handler that a RuntimeClass names.
func (c *Client) Handler(ctx context.Context, class string) (string, error) {
	out := &nodev1.RuntimeClass{}
	err := c.do(ctx, http.MethodGet, "/apis/node.k8s.io/v1/runtimeclasses/"+class, "", nil, out)
	return out.Handler, err
}
