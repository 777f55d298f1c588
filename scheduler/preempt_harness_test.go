package scheduler

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	schedulingv1beta1 "k8s.io/api/scheduling/v1beta1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// deleteOnRequest is the API's part in a preemption: a pod on a node is being deleted from now on.
func (h *harness) deleteOnRequest(key events.Key, r *http.Request) int {
	var options metav1.DeleteOptions
	if err := json.NewDecoder(r.Body).Decode(&options); err != nil {
		return http.StatusBadRequest
	}
	o := h.projection.Snapshot().Get(key)
	switch {
	case !o.Exists():
		return http.StatusNotFound
	case *options.Preconditions.UID != o.Meta().GetUID():
		return http.StatusConflict
	case o.Meta().GetDeletionTimestamp() != nil:
		return http.StatusOK
	}
	data, err := json.Marshal(map[string]any{"metadata": map[string]any{"deletionTimestamp": time.Now().UTC().Format(time.RFC3339)}})
	if err != nil {
		return http.StatusInternalServerError
	}
	seq, err := h.bus.Log().Append(r.Context(), bus.Entry{Event: &events.Event{
		Prefix: events.PrefixDecision, Key: key, ID: bus.NewID(), Source: Component, Time: time.Now(), Actor: "system:kube-scheduler",
		Type: events.Deleting, ContentType: events.ContentPatch, Data: data,
	}})
	if err != nil || h.projection.WaitFor(r.Context(), seq) != nil {
		return http.StatusServiceUnavailable
	}
	return http.StatusOK
}

// budget makes a PodDisruptionBudget, as its controller sees it.
func (h *harness) budget(name string, words []string) {
	b := &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default", UID: "budget"}}
	for _, w := range words {
		switch k, v, _ := strings.Cut(w, "="); k {
		case "app":
			b.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": v}}
		case "allowed":
			n, err := strconv.ParseInt(v, 10, 32)
			if err != nil {
				h.t.Fatal(err)
			}
			b.Status.DisruptionsAllowed = int32(n)
		}
	}
	data, err := events.EncodeObject(b)
	if err != nil {
		h.t.Fatal(err)
	}
	h.append(&events.Event{Key: events.Key{Group: "policy", Resource: "poddisruptionbudgets", Namespace: "default", Name: name},
		Type: events.Created, ContentType: events.ContentObject, Data: data})
}

// leave has the pods that are being deleted go.
func (h *harness) leave() {
	for o := range h.projection.Snapshot().List("", "pods", "") {
		if pod := o.Value.(*corev1.Pod); pod.DeletionTimestamp != nil {
			h.delete(o.Key)
		}
	}
}

// podGroup makes a PodGroup that is a gang.
func (h *harness) podGroup(name, size string) {
	n, err := strconv.ParseInt(size, 10, 32)
	if err != nil {
		h.t.Fatal(err)
	}
	g := &schedulingv1beta1.PodGroup{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default", UID: "group"}}
	g.Spec.SchedulingPolicy.Gang = &schedulingv1beta1.GangSchedulingPolicy{MinCount: int32(n)}
	data, err := events.EncodeObject(g)
	if err != nil {
		h.t.Fatal(err)
	}
	h.append(&events.Event{Key: events.Key{Group: schedulingv1beta1.GroupName, Resource: "podgroups", Namespace: "default", Name: name},
		Type: events.Created, ContentType: events.ContentObject, Data: data})
}

// patchPodGroup is the API's part in what is said of a gang: its one condition.
func (h *harness) patchPodGroup(r *http.Request) int {
	var patch struct {
		Status schedulingv1beta1.PodGroupStatus
	}
	if err := json.NewDecoder(r.Body).Decode(&patch); err != nil || len(patch.Status.Conditions) != 1 {
		return http.StatusBadRequest
	}
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/apis/scheduling.k8s.io/v1beta1/namespaces/"), "/")
	key := events.Key{Group: schedulingv1beta1.GroupName, Resource: parts[1], Namespace: parts[0], Name: parts[2]}
	c := patch.Status.Conditions[0]
	data, err := json.Marshal(map[string]any{"status": patch.Status})
	if err != nil {
		return http.StatusInternalServerError
	}
	_, err = h.bus.Log().Append(r.Context(), bus.Entry{Event: &events.Event{
		Prefix: events.PrefixDecision, Key: key, ID: bus.NewID(), Source: Component, Time: time.Now(), Type: events.Progressed,
		ContentType: events.ContentPatch, Data: data, Note: string(c.Status) + " " + c.Reason + " " + c.Message,
	}})
	if err != nil {
		return http.StatusServiceUnavailable
	}
	return http.StatusOK
}
