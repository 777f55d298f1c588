package api

import (
	"context"
	"net/http"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// CreatePod creates a pod: the mirror of a static one, as nodes may create no other.
func (c *Client) CreatePod(ctx context.Context, pod *v1.Pod) (*v1.Pod, error) {
	out := &v1.Pod{}
	return out, c.do(ctx, http.MethodPost, "/api/v1/namespaces/"+pod.Namespace+"/pods", typeJSON, pod, out)
}

// DeletePod deletes exactly this pod, at once.
func (c *Client) DeletePod(ctx context.Context, pod *v1.Pod) error {
	now := int64(0)
	options := &metav1.DeleteOptions{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "DeleteOptions"},
		GracePeriodSeconds: &now, Preconditions: &metav1.Preconditions{UID: &pod.UID}}
	return c.do(ctx, http.MethodDelete, "/api/v1/namespaces/"+pod.Namespace+"/pods/"+pod.Name, typeJSON, options, nil)
}
