package podautoscaler

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/controllers/deployment"
	"github.com/reckon-project/reckon/controllers/podgc"
	"github.com/reckon-project/reckon/controllers/replicaset"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// apis serve the metrics APIs: answers by path, or the load of all pods.
type apis struct {
	w *controllertest.World

	mu      sync.Mutex
	asked   []string
	load    map[corev1.ResourceName]string // of each pod; nil: the API isn't there
	answers map[string]any                 // by path without query

	refuse atomic.Pointer[func() error] // what admission says to the target's scale
}

func (a *apis) set(load map[corev1.ResourceName]string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.load = load
}

func (a *apis) RoundTrip(r *http.Request) (*http.Response, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = append(a.asked, r.URL.RequestURI())
	code, out := http.StatusNotFound, a.answers[r.URL.EscapedPath()]
	if a.load != nil && strings.HasPrefix(r.URL.Path, "/apis/metrics.k8s.io/v1beta1/") {
		out = a.podMetrics()
	}
	if out != nil {
		code = http.StatusOK
	}
	body, err := json.Marshal(out)
	if out == nil {
		body = []byte("404 page not found")
	}
	return &http.Response{StatusCode: code, Body: io.NopCloser(bytes.NewReader(body)), Request: r}, err
}

func (a *apis) podMetrics() any {
	var items []any
	for pod := range projections.List[*corev1.Pod](a.w.Snapshot(), "", "pods", "default") {
		items = append(items, map[string]any{
			"metadata": map[string]any{"name": pod.Name, "namespace": pod.Namespace}, "timestamp": metav1.Now(), "window": "10s",
			"containers": []any{map[string]any{"name": "c", "usage": a.load}},
		})
	}
	return map[string]any{"items": items}
}

func (a *apis) questions() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := a.asked
	a.asked = nil
	return out
}

func start(t *testing.T) (*controllertest.World, *apis) {
	w := controllertest.NewWorld(t)
	a := &apis{w: w, answers: map[string]any{}}
	w.API.Refuse = func(method string, k events.Key) error {
		if refuse := a.refuse.Load(); refuse != nil && method == http.MethodPut && k == webKey {
			return (*refuse)()
		}
		return nil
	}
	w.Run(New(a, time.Now), deployment.New(), replicaset.New(), podgc.New())
	w.Create(controllers.Node, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}})
	w.Schedule("n1")
	return w, a
}

var (
	webKey = controllers.Deployment.Key("default", "web")
	hpaKey = controllers.HorizontalPodAutoscaler.Key("default", "web")
)

func web(replicas int32) *appsv1.Deployment {
	labels := map[string]string{"app": "web"}
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"}}
	d.Spec.Replicas, d.Spec.Selector = &replicas, &metav1.LabelSelector{MatchLabels: labels}
	d.Spec.Template.Labels = labels
	d.Spec.Template.Spec.Containers = []corev1.Container{{Name: "c", Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{
		corev1.ResourceMemory: resource.MustParse("100Mi"), corev1.ResourceCPU: resource.MustParse("100m"),
	}}}}
	return d
}

func p[T any](v T) *T { return &v }

func hpa(minimum, maximum int32, metrics ...autoscalingv2.MetricSpec) *autoscalingv2.HorizontalPodAutoscaler {
	h := &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"}}
	h.Spec = autoscalingv2.HorizontalPodAutoscalerSpec{
		ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "web"},
		MinReplicas:    &minimum, MaxReplicas: maximum, Metrics: metrics,
	}
	return h
}

func memoryUse(percent int32) autoscalingv2.MetricSpec {
	return autoscalingv2.MetricSpec{Type: autoscalingv2.ResourceMetricSourceType, Resource: &autoscalingv2.ResourceMetricSource{
		Name: corev1.ResourceMemory, Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: &percent},
	}}
}

func show(w *controllertest.World) string {
	h := controllertest.Get[*autoscalingv2.HorizontalPodAutoscaler](w, hpaKey)
	var b strings.Builder
	fmt.Fprintf(&b, "replicas %d of %d", h.Status.CurrentReplicas, h.Status.DesiredReplicas)
	if o := w.Snapshot().Get(webKey); o.Exists() {
		fmt.Fprintf(&b, ", target %d", *o.Value.(*appsv1.Deployment).Spec.Replicas)
	}
	b.WriteString("\n")
	for _, c := range h.Status.Conditions {
		fmt.Fprintf(&b, "%s %s %s: %s\n", c.Type, c.Status, c.Reason, c.Message)
	}
	for i := range h.Status.CurrentMetrics {
		data, _ := json.Marshal(h.Status.CurrentMetrics[i])
		fmt.Fprintf(&b, "%s\n", data)
	}
	return b.String()
}

// ofScaling keeps the events about the target and the autoscaler.
func ofScaling(e *events.Event) bool {
	return e.Key == hpaKey || e.Key == webKey && (e.Type == events.Scaled || e.Type == events.Created)
}

func TestFollowsLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, a := start(t)
		defer w.Stop()
		script := controllertest.NewTranscript(w, "load")
		script.Keep = ofScaling
		step := func(name string, d time.Duration) {
			w.Advance(d)
			script.Step("%s", name)
			script.Say("then", show(w))
		}
		w.Create(controllers.Deployment, web(1))
		w.Create(controllers.HorizontalPodAutoscaler, hpa(2, 10, memoryUse(50)))
		step("below the minimum, and nobody serves metrics", time.Second)
		step("sixteen seconds later", 16*time.Second)
		a.set(map[corev1.ResourceName]string{corev1.ResourceMemory: "52Mi"})
		step("the load is right", 16*time.Second)
		a.set(map[corev1.ResourceName]string{corev1.ResourceMemory: "150Mi"})
		step("three times the target", 16*time.Second)
		step("still", 16*time.Second)
		step("and again", 16*time.Second)
		a.set(map[corev1.ResourceName]string{corev1.ResourceMemory: "10Mi"})
		step("the load is gone", 16*time.Second)
		step("for four minutes", 4*time.Minute)
		step("for six", 2*time.Minute)
		w.Patch(hpaKey, `{"spec":{"maxReplicas":3,"minReplicas":3}}`)
		step("three, said somebody", time.Second)
		script.Done()
	})
}

// TestQuiet: without autoscalers nobody asks, and what doesn't differ isn't written.
func TestQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, a := start(t)
		defer w.Stop()
		a.set(map[corev1.ResourceName]string{corev1.ResourceMemory: "50Mi"})
		w.Create(controllers.Deployment, web(2))
		w.Advance(10 * time.Minute)
		if asked := a.questions(); len(asked) != 0 {
			t.Errorf("without an autoscaler, asked %q", asked)
		}
		w.Create(controllers.HorizontalPodAutoscaler, hpa(2, 10, memoryUse(50)))
		w.Advance(time.Minute)
		a.questions()
		before := w.Snapshot().Position()
		w.Advance(10 * time.Minute)
		if n := len(a.questions()); n != 40 {
			t.Errorf("asked %d times in ten minutes", n)
		}
		if after := w.Snapshot().Position(); after != before {
			t.Errorf("%d events in ten minutes without news", after-before)
		}
		w.Delete(hpaKey, "")
		w.Advance(10 * time.Minute)
		if asked := a.questions(); len(asked) != 0 {
			t.Errorf("after the autoscaler was deleted, asked %q", asked)
		}
	})
}

func TestScaleRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, a := start(t)
		defer w.Stop()
		script := controllertest.NewTranscript(w, "refused")
		script.Keep = ofScaling
		a.set(map[corev1.ResourceName]string{corev1.ResourceMemory: "100Mi"})
		w.Create(controllers.Deployment, web(2))
		w.Advance(time.Second)
		refuse := func() error {
			return apierrors.NewForbidden(appsv1.Resource("deployments"), "web", fmt.Errorf("no more than two"))
		}
		a.refuse.Store(&refuse)
		w.Create(controllers.HorizontalPodAutoscaler, hpa(2, 10, memoryUse(50)))
		w.Advance(time.Second)
		script.Step("admission says no")
		script.Say("then", show(w))
		a.refuse.Store(nil)
		w.Advance(16 * time.Second)
		script.Step("admission says yes")
		script.Say("then", show(w))
		script.Done()
	})
}

// TestTargetMoves: a target that changes between the look and the write is scaled
// all the same; one that somebody else scales isn't.
func TestTargetMoves(t *testing.T) {
	for name, test := range map[string]struct {
		patch string
		want  int32
	}{
		"another change": {`{"metadata":{"labels":{"a":"b"}}}`, 4},
		"another scale":  {`{"spec":{"replicas":3}}`, 3},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, a := start(t)
				defer w.Stop()
				a.set(map[corev1.ResourceName]string{corev1.ResourceMemory: "100Mi"})
				w.Create(controllers.Deployment, web(2))
				w.Advance(time.Second)
				var once sync.Once
				move := func() error {
					once.Do(func() { w.Patch(webKey, "%s", test.patch) })
					return nil
				}
				a.refuse.Store(&move)
				w.Create(controllers.HorizontalPodAutoscaler, hpa(2, 10, memoryUse(50)))
				w.Advance(5 * time.Second)
				if got := *controllertest.Get[*appsv1.Deployment](w, webKey).Spec.Replicas; got != test.want {
					t.Errorf("the target has %d replicas", got)
				}
			})
		})
	}
}

func TestScaleToZero(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, a := start(t)
		defer w.Stop()
		script := controllertest.NewTranscript(w, "zero")
		script.Keep = ofScaling
		const path = "/apis/external.metrics.k8s.io/v1beta1/namespaces/default/queue"
		queue := func(n string) {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.answers[path] = map[string]any{"items": []any{map[string]any{"metricName": "queue", "value": n}}}
		}
		step := func(name string, d time.Duration) {
			w.Advance(d)
			script.Step("%s", name)
			script.Say("then", show(w))
		}
		h := hpa(0, 5, autoscalingv2.MetricSpec{Type: autoscalingv2.ExternalMetricSourceType, External: &autoscalingv2.ExternalMetricSource{
			Metric: autoscalingv2.MetricIdentifier{Name: "queue"}, Target: autoscalingv2.MetricTarget{Type: autoscalingv2.ValueMetricType, Value: p(resource.MustParse("10"))},
		}})
		h.Spec.Behavior = &autoscalingv2.HorizontalPodAutoscalerBehavior{ScaleDown: &autoscalingv2.HPAScalingRules{
			StabilizationWindowSeconds: p(int32(0)), Policies: []autoscalingv2.HPAScalingPolicy{{Type: autoscalingv2.PercentScalingPolicy, Value: 100, PeriodSeconds: 15}},
		}}
		w.Create(controllers.Deployment, web(1))
		w.Advance(time.Second)
		queue("0")
		w.Create(controllers.HorizontalPodAutoscaler, h)
		step("an empty queue", time.Second)
		step("still empty", 16*time.Second)
		queue("25")
		step("work comes", 16*time.Second)
		w.Patch(webKey, `{"spec":{"replicas":0}}`)
		step("a person stops it", 16*time.Second)
		script.Done()
	})
}
