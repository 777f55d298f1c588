package gateway_test

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/gateway/gatewaytest"
)

func testNews(t *testing.T, c *gatewaytest.Cluster, admin *kubernetes.Clientset) {
	pod := must(admin.CoreV1().Pods("default").Create(t.Context(), makePod("told"), metav1.CreateOptions{}))(t)
	w := must(admin.CoreV1().Events("default").Watch(t.Context(), metav1.ListOptions{FieldSelector: "involvedObject.uid=" + string(pod.UID)}))(t)
	defer w.Stop()
	key := events.Key{Resource: "pods", Namespace: "default", Name: "told"}
	for i := range 2 {
		gatewaytest.Append(t, c, &events.Event{
			Prefix: events.PrefixDecision, Key: key, Source: "scheduler", Type: events.Unschedulable,
			Reason: "FailedScheduling", Note: "0/0 nodes are available", ContentType: events.ContentPatch, Data: fmt.Appendf(nil, `{"status":{"message":"%d"}}`, i),
		})
	}
	list := must(admin.CoreV1().Events("default").List(t.Context(), metav1.ListOptions{FieldSelector: "involvedObject.uid=" + string(pod.UID)}))(t)
	if len(list.Items) != 1 {
		t.Fatalf("the log tells %v", list.Items)
	}
	e := list.Items[0]
	if e.Reason != "FailedScheduling" || e.Type != corev1.EventTypeWarning || e.Count != 2 || e.Source.Component != "default-scheduler" || e.InvolvedObject.Kind != "Pod" {
		t.Errorf("told: %+v", e)
	}
	if seen, ok := (<-w.ResultChan()).Object.(*corev1.Event); !ok || seen.Name != e.Name {
		t.Errorf("watched: %+v", seen)
	}

	written := must(admin.CoreV1().Events("default").Create(t.Context(), &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{Name: "by-hand"}, Reason: "Written", InvolvedObject: e.InvolvedObject,
	}, metav1.CreateOptions{}))(t)
	written.Count = 7
	written = must(admin.CoreV1().Events("default").Update(t.Context(), written, metav1.UpdateOptions{}))(t)
	newer := must(admin.EventsV1().Events("default").Get(t.Context(), "by-hand", metav1.GetOptions{}))(t)
	if newer.ResourceVersion != written.ResourceVersion || newer.DeprecatedCount != 7 {
		t.Errorf("events.k8s.io shows %+v, written was %+v", newer, written)
	}
	written.ResourceVersion = e.ResourceVersion
	if _, err := admin.CoreV1().Events("default").Update(t.Context(), written, metav1.UpdateOptions{}); !apierrors.IsConflict(err) {
		t.Errorf("an update of an old version: %v", err)
	}
	if err := admin.CoreV1().Events("default").DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{}); err != nil {
		t.Error(err)
	}
	if left := must(admin.CoreV1().Events("").List(t.Context(), metav1.ListOptions{}))(t); len(left.Items) > 0 {
		t.Errorf("left: %v", left.Items)
	}
}
