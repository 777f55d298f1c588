package podautoscaler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	custommetrics "k8s.io/metrics/pkg/apis/custom_metrics/v1beta2"
	externalmetrics "k8s.io/metrics/pkg/apis/external_metrics/v1beta1"
	metrics "k8s.io/metrics/pkg/apis/metrics/v1beta1"
)

// answer is what a metrics API said. One of the lists is filled.
type answer struct {
	pods     []metrics.PodMetrics
	custom   []custommetrics.MetricValue
	external []externalmetrics.ExternalMetricValue
	err      error
}

// patience is how long a metrics API may take.
const patience = 30 * time.Second

// ask sends one question.
func (g *gauges) ask(ctx context.Context, q question) answer {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var a answer
	switch q.group {
	case resourceMetrics:
		var list metrics.PodMetricsList
		a.err = g.get(ctx, q, "resource metrics API", &list)
		if a.pods = list.Items; a.err == nil && len(a.pods) == 0 {
			a.err = errors.New("no metrics returned from resource metrics API")
		}
	case customMetrics:
		var list custommetrics.MetricValueList
		a.err = g.get(ctx, q, "custom metrics API", &list)
		if a.custom = list.Items; a.err == nil && len(a.custom) == 0 {
			a.err = errors.New("no metrics returned from custom metrics API")
		}
	case externalMetrics:
		var list externalmetrics.ExternalMetricValueList
		a.err = g.get(ctx, q, "external metrics API", &list)
		if a.external = list.Items; a.err == nil && len(a.external) == 0 {
			a.err = errors.New("no metrics returned from external metrics API")
		}
	}
	return a
}

// get reads JSON; its errors are those that clients of Kubernetes give.
func (g *gauges) get(ctx context.Context, q question, from string, into any) error {
	if err := g.fetch(ctx, q, into); err != nil {
		return fmt.Errorf("unable to fetch metrics from %s: %w", from, err)
	}
	return nil
}

func (g *gauges) fetch(ctx context.Context, q question, into any) error {
	if g.api == nil {
		return errors.New("no way to the API is set up")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://reckon"+q.path, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := g.api.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode < 300 {
		return json.Unmarshal(body, into)
	}
	var status metav1.Status
	if json.Unmarshal(body, &status) == nil && status.Kind == "Status" && status.Message != "" {
		return &apierrors.StatusError{ErrStatus: status}
	}
	resource := schema.GroupResource{Group: q.group, Resource: q.resource}
	return apierrors.NewGenericServerResponse(resp.StatusCode, "get", resource, q.name, string(body), 0, true)
}
