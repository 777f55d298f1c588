package scheduler

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
)

func resourceKey(resource, namespace, name string) events.Key {
	return events.Key{Group: resourcev1.GroupName, Resource: resource, Namespace: namespace, Name: name}
}

// patchResourceClaim is the API's part in an allocation: a merge, and what its validation says of it.
func (h *harness) patchResourceClaim(r *http.Request) int {
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/apis/resource.k8s.io/v1/namespaces/"), "/")
	key := resourceKey(parts[1], parts[0], parts[2])
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return http.StatusBadRequest
	}
	var head struct {
		Metadata struct{ UID, ResourceVersion string }
	}
	if err := json.Unmarshal(body, &head); err != nil {
		return http.StatusBadRequest
	}
	for {
		s := h.projection.Snapshot()
		o := s.Get(key)
		switch {
		case !o.Exists():
			return http.StatusNotFound
		case string(o.Meta().GetUID()) != head.Metadata.UID, head.Metadata.ResourceVersion != "" && head.Metadata.ResourceVersion != o.Meta().GetResourceVersion():
			return http.StatusConflict
		}
		before, err := json.Marshal(o.Value)
		if err != nil {
			return http.StatusInternalServerError
		}
		after, err := strategicpatch.StrategicMergePatch(before, body, &resourcev1.ResourceClaim{})
		if err != nil {
			return http.StatusBadRequest
		}
		was, now := o.Value.(*resourcev1.ResourceClaim), &resourcev1.ResourceClaim{}
		if err := json.Unmarshal(after, now); err != nil {
			return http.StatusBadRequest
		}
		if len(now.Status.ReservedFor) > 0 && now.Status.Allocation == nil {
			return http.StatusUnprocessableEntity
		}
		if was.Status.Allocation != nil && now.Status.Allocation != nil && devicesOf(was) != devicesOf(now) {
			return http.StatusUnprocessableEntity
		}
		data, err := events.EncodeObject(now)
		if err != nil {
			return http.StatusInternalServerError
		}
		seq, err := h.bus.Log().Append(r.Context(), bus.Entry{Expect: bus.Expect(o.Decision), Event: &events.Event{
			Prefix: events.PrefixDecision, Key: key, ID: bus.NewID(), Source: Component, Time: time.Now(), Type: events.Updated, IfVersion: o.Version,
			ContentType: events.ContentObject, Data: data, Note: said(was, now),
		}})
		if err == nil {
			err = h.projection.WaitFor(r.Context(), seq)
		}
		switch {
		case err == nil:
			return http.StatusOK
		case r.Context().Err() != nil:
			return http.StatusServiceUnavailable
		} // somebody else was first: it is merged anew
	}
}

// said tells what a write did to a claim.
func said(was, now *resourcev1.ResourceClaim) string {
	var out []string
	if len(was.Finalizers) != len(now.Finalizers) {
		out = append(out, fmt.Sprintf("finalizers %v", now.Finalizers))
	}
	if a, b := devicesOf(was), devicesOf(now); a != b {
		out = append(out, "devices "+b)
	}
	var users []string
	for _, u := range now.Status.ReservedFor {
		users = append(users, u.Name)
	}
	if len(was.Status.ReservedFor) != len(now.Status.ReservedFor) {
		out = append(out, fmt.Sprintf("users %v", users))
	}
	return strings.Join(out, ", ")
}

func devicesOf(c *resourcev1.ResourceClaim) string {
	if c.Status.Allocation == nil {
		return "none"
	}
	var out []string
	for _, r := range c.Status.Allocation.Devices.Results {
		out = append(out, r.Pool+"/"+r.Device)
	}
	return strings.Join(out, " ")
}

func (h *harness) createAs(key events.Key, o runtime.Object) {
	h.t.Helper()
	m := o.(metav1.Object)
	m.SetName(key.Name)
	m.SetNamespace(key.Namespace)
	m.SetUID(types.UID(fmt.Sprint(key.Resource, "-", key.Name, "-", h.projection.Snapshot().Position())))
	data, err := events.EncodeObject(o)
	if err != nil {
		h.t.Fatal(err)
	}
	typ := events.Created
	if h.projection.Snapshot().Get(key).Exists() {
		typ = events.Updated
	}
	h.append(&events.Event{Key: key, Type: typ, ContentType: events.ContentObject, Data: data})
}

// parseClaim reads what a claim asks for: class=gpu count=2 first=big,small where=CEL.
func parseClaim(words []string) (spec resourcev1.ResourceClaimSpec) {
	exactly := &resourcev1.ExactDeviceRequest{DeviceClassName: "gpu", AllocationMode: resourcev1.DeviceAllocationModeExactCount, Count: 1}
	request := resourcev1.DeviceRequest{Name: "r", Exactly: exactly}
	for _, w := range words {
		k, v, _ := strings.Cut(w, "=")
		switch k {
		case "class":
			exactly.DeviceClassName = v
		case "count":
			exactly.Count, _ = strconv.ParseInt(v, 10, 64) //nolint:errcheck // a test's own words
		case "all":
			exactly.AllocationMode, exactly.Count = resourcev1.DeviceAllocationModeAll, 0
		case "admin":
			yes := true
			exactly.AdminAccess = &yes
		case "model":
			exactly.Selectors = []resourcev1.DeviceSelector{{CEL: &resourcev1.CELDeviceSelector{Expression: `device.attributes["gpu.example.com"].model == "` + v + `"`}}}
		case "tolerate":
			exactly.Tolerations = []resourcev1.DeviceToleration{{Key: v, Operator: resourcev1.DeviceTolerationOpExists}}
		case "first":
			request.Exactly = nil
			for _, class := range strings.Split(v, ",") {
				request.FirstAvailable = append(request.FirstAvailable, resourcev1.DeviceSubRequest{Name: class, DeviceClassName: class, AllocationMode: resourcev1.DeviceAllocationModeExactCount, Count: 1})
			}
		}
	}
	spec.Devices.Requests = []resourcev1.DeviceRequest{request}
	return spec
}

// parseSlice reads a slice: node=n1 or none for all nodes, and devices as names with a model and options.
func parseSlice(name string, words []string) *resourcev1.ResourceSlice {
	s := &resourcev1.ResourceSlice{ObjectMeta: metav1.ObjectMeta{Name: name}}
	s.Spec.Driver, s.Spec.Pool = "gpu.example.com", resourcev1.ResourcePool{Name: name, ResourceSliceCount: 1, Generation: 1}
	yes := true
	s.Spec.AllNodes = &yes
	for _, w := range words {
		k, v, _ := strings.Cut(w, "=")
		switch k {
		case "node":
			s.Spec.AllNodes, s.Spec.NodeName = nil, &v
		case "on":
			label, value, _ := strings.Cut(v, ":")
			s.Spec.AllNodes = nil
			s.Spec.NodeSelector = &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{Key: label, Operator: corev1.NodeSelectorOpIn, Values: []string{value}}}}}}
		default: // name=model
			name, option, _ := strings.Cut(k, "!")
			d := resourcev1.Device{Name: name, Attributes: map[resourcev1.QualifiedName]resourcev1.DeviceAttribute{"model": {StringValue: &v}},
				Capacity: map[resourcev1.QualifiedName]resourcev1.DeviceCapacity{"memory": {Value: resource.MustParse("40Gi")}}}
			if option == "late" {
				d.BindingConditions, d.BindingFailureConditions = []string{"Attached"}, []string{"Broken"}
			}
			s.Spec.Devices = append(s.Spec.Devices, d)
		}
	}
	return s
}

// doDevices are the transcripts' commands about devices.
func (h *harness) doDevices(words []string) {
	h.t.Helper()
	name := words[1]
	claimKey := resourceKey("resourceclaims", "default", name)
	switch words[0] {
	case "devices":
		h.createAs(resourceKey("resourceslices", "", name), parseSlice(name, words[2:]))
	case "drop-devices":
		h.delete(resourceKey("resourceslices", "", name))
	case "device-class":
		c := &resourcev1.DeviceClass{}
		if len(words) > 2 {
			c.Spec.Selectors = []resourcev1.DeviceSelector{{CEL: &resourcev1.CELDeviceSelector{Expression: `device.attributes["gpu.example.com"].model == "` + words[2] + `"`}}}
		}
		h.createAs(resourceKey("deviceclasses", "", name), c)
	case "device-taint":
		h.createAs(resourceKey("devicetaintrules", "", name), &resourcev1.DeviceTaintRule{Spec: resourcev1.DeviceTaintRuleSpec{
			DeviceSelector: &resourcev1.DeviceTaintSelector{Pool: &words[2], Device: &words[3]},
			Taint:          resourcev1.DeviceTaint{Key: name, Effect: resourcev1.DeviceTaintEffectNoSchedule},
		}})
	case "resource-claim":
		h.createAs(claimKey, &resourcev1.ResourceClaim{Spec: parseClaim(words[2:])})
	case "drop-resource-claim":
		h.delete(claimKey)
	case "claim-made": // as the controller: for a pod, from its template
		pod := h.pod(name)
		claim := &resourcev1.ResourceClaim{Spec: parseClaim(words[2:])}
		yes := true
		claim.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: name, UID: pod.UID, Controller: &yes}}
		h.createAs(resourceKey("resourceclaims", "default", name+"-made"), claim)
		h.patch(events.Key{Resource: "pods", Namespace: "default", Name: name}, events.Progressed, map[string]any{"status": map[string]any{
			"resourceClaimStatuses": []map[string]any{{"name": pod.Spec.ResourceClaims[0].Name, "resourceClaimName": name + "-made"}}}})
	case "users-gone": // as the controller: none of its users runs any more
		h.patch(claimKey, events.Progressed, map[string]any{"status": map[string]any{"allocation": nil, "reservedFor": nil}})
	case "users-leave": // as the controller, which has yet to take the devices away
		h.patch(claimKey, events.Progressed, map[string]any{"status": map[string]any{"reservedFor": nil}})
	case "device-ready", "device-failed": // as the driver
		claim, _ := projections.Get[*resourcev1.ResourceClaim](h.projection.Snapshot(), claimKey)
		r := claim.Status.Allocation.Devices.Results[0]
		condition := r.BindingConditions[0]
		if words[0] == "device-failed" {
			condition = r.BindingFailureConditions[0]
		}
		h.patch(claimKey, events.Progressed, map[string]any{"status": map[string]any{"devices": []map[string]any{{
			"driver": r.Driver, "pool": r.Pool, "device": r.Device, "conditions": []map[string]any{{"type": condition, "status": "True", "reason": "Driver", "lastTransitionTime": "2026-01-01T00:00:00Z"}}}}}})
	}
}

// deviceUsers are the claims by device, to see that no two have one.
func (h *harness) deviceUsers() map[string][]string {
	out := map[string][]string{}
	for o := range h.projection.Snapshot().List(resourcev1.GroupName, "resourceclaims", "") {
		claim := o.Value.(*resourcev1.ResourceClaim)
		if claim.Status.Allocation == nil {
			continue
		}
		for _, r := range claim.Status.Allocation.Devices.Results {
			if r.AdminAccess == nil {
				out[r.Pool+"/"+r.Device] = append(out[r.Pool+"/"+r.Device], claim.Name)
			}
		}
	}
	for _, claims := range out {
		slices.Sort(claims)
	}
	return out
}
