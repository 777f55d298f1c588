package scheduler

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// patches is the part of the API that the scheduler needs: merge patches with
// preconditions. What it writes shows in transcripts.
type patches struct{ h *harness }

func (a patches) RoundTrip(r *http.Request) (*http.Response, error) {
	answer := func(code int) (*http.Response, error) {
		return &http.Response{StatusCode: code, Status: http.StatusText(code), Body: io.NopCloser(strings.NewReader("")), Request: r}, nil
	}
	if strings.HasPrefix(r.URL.Path, "/apis/resource.k8s.io/") {
		return answer(a.h.patchResourceClaim(r))
	}
	if strings.HasPrefix(r.URL.Path, "/apis/scheduling.k8s.io/") {
		return answer(a.h.patchPodGroup(r))
	}
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/api/v1/"), "/")
	key := events.Key{Resource: parts[0], Name: parts[len(parts)-1]}
	if parts[0] == "namespaces" {
		key.Namespace, key.Resource = parts[1], parts[2]
	}
	if r.Method == http.MethodDelete {
		return answer(a.h.deleteOnRequest(key, r))
	}
	var patch map[string]any
	if err := json.NewDecoder(r.Body).Decode(&patch); err != nil {
		return nil, err
	}
	s := a.h.projection.Snapshot()
	o := s.Get(key)
	metadata := patch["metadata"].(map[string]any)
	version, _ := metadata["resourceVersion"].(string)
	if !o.Exists() || version != "" && version != o.Meta().GetResourceVersion() || metadata["uid"] != string(o.Meta().GetUID()) {
		return answer(http.StatusConflict)
	}
	delete(metadata, "uid")
	delete(metadata, "resourceVersion")
	if spec, ok := patch["spec"].(map[string]any); ok {
		delete(spec["claimRef"].(map[string]any), "resourceVersion")
	}
	data, err := json.Marshal(patch)
	if err != nil {
		return nil, err
	}
	note := string(data)
	if o.Meta().GetUID() != "" {
		note = strings.ReplaceAll(note, `"apiVersion":"v1",`, "")
	}
	_, err = a.h.bus.Log().Append(r.Context(), bus.Entry{Expect: bus.Expect(o.Decision), Event: &events.Event{
		Prefix: events.PrefixDecision, Key: key, ID: bus.NewID(), Source: Component, Time: time.Now(), Type: events.Updated, IfVersion: o.Version,
		ContentType: events.ContentPatch, Data: data, Note: note, Why: "{}",
	}})
	if err != nil {
		return answer(http.StatusConflict)
	}
	return answer(http.StatusOK)
}

// doVolumes are the transcripts' commands about volumes.
func (h *harness) doVolumes(words []string) {
	h.t.Helper()
	arguments := map[string]string{}
	for _, w := range words[2:] {
		k, v, _ := strings.Cut(w, "=")
		arguments[k] = v
	}
	size := func() corev1.ResourceList {
		if arguments["size"] == "" {
			arguments["size"] = "1Gi"
		}
		return corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(arguments["size"])}
	}
	modes := []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}
	if arguments["mode"] == "rwop" {
		modes[0] = corev1.ReadWriteOncePod
	}
	name := words[1]
	claim := events.Key{Resource: "persistentvolumeclaims", Namespace: "default", Name: name}
	switch words[0] {
	case "class":
		mode := storagev1.VolumeBindingImmediate
		if arguments["binds"] == "late" {
			mode = storagev1.VolumeBindingWaitForFirstConsumer
		}
		c := &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Provisioner: arguments["by"], VolumeBindingMode: &mode}
		if zone := arguments["zone"]; zone != "" {
			c.AllowedTopologies = []corev1.TopologySelectorTerm{{MatchLabelExpressions: []corev1.TopologySelectorLabelRequirement{{Key: corev1.LabelTopologyZone, Values: []string{zone}}}}}
		}
		data, err := events.EncodeObject(c)
		if err != nil {
			h.t.Fatal(err)
		}
		h.append(&events.Event{Key: events.Key{Group: "storage.k8s.io", Resource: "storageclasses", Name: name}, Type: events.Created, ContentType: events.ContentObject, Data: data})
	case "claim":
		class := arguments["class"]
		c := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"}}
		c.Spec.StorageClassName, c.Spec.AccessModes, c.Spec.Resources.Requests = &class, modes, size()
		h.create("persistentvolumeclaims", c)
	case "volume":
		v := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: name}}
		v.Spec.StorageClassName, v.Spec.AccessModes, v.Spec.Capacity, v.Status.Phase = arguments["class"], modes, size(), corev1.VolumeAvailable
		if driver := arguments["by"]; driver != "" {
			v.Spec.CSI = &corev1.CSIPersistentVolumeSource{Driver: driver, VolumeHandle: name}
		}
		if on := arguments["on"]; on != "" {
			v.Spec.NodeAffinity = &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{on}}}}}}}
		}
		h.create("persistentvolumes", v)
	case "bind": // as the volume controller
		c, _ := projections.Get[*corev1.PersistentVolumeClaim](h.projection.Snapshot(), claim)
		h.patch(events.Key{Resource: "persistentvolumes", Name: words[2]}, events.Bound, map[string]any{"status": map[string]any{"phase": "Bound"},
			"spec": map[string]any{"claimRef": map[string]any{"namespace": "default", "name": name, "uid": c.UID}}})
		h.patch(claim, events.Bound, map[string]any{
			"metadata": map[string]any{"annotations": map[string]any{"pv.kubernetes.io/bind-completed": "yes"}},
			"spec":     map[string]any{"volumeName": words[2]}, "status": map[string]any{"phase": "Bound"},
		})
	case "deselect": // as a provisioner that can't make the volume there
		h.patch(claim, events.Updated, map[string]any{"metadata": map[string]any{"annotations": map[string]any{"volume.kubernetes.io/selected-node": nil}}})
	case "csinode": // name of the node, then driver=limit
		c := &storagev1.CSINode{ObjectMeta: metav1.ObjectMeta{Name: name}}
		for driver, limit := range arguments {
			var count int32
			if _, err := fmt.Sscan(limit, &count); err != nil {
				h.t.Fatal(err)
			}
			c.Spec.Drivers = append(c.Spec.Drivers, storagev1.CSINodeDriver{Name: driver, NodeID: name, Allocatable: &storagev1.VolumeNodeResources{Count: &count}})
		}
		h.createAs(events.Key{Group: "storage.k8s.io", Resource: "csinodes", Name: name}, c)
	case "driver": // that nodes must have
		yes := true
		h.createAs(events.Key{Group: "storage.k8s.io", Resource: "csidrivers", Name: name}, &storagev1.CSIDriver{Spec: storagev1.CSIDriverSpec{PreventPodSchedulingIfMissing: &yes}})
	case "attach":
		h.createAs(events.Key{Group: "storage.k8s.io", Resource: "volumeattachments", Name: name}, &storagev1.VolumeAttachment{Spec: storagev1.VolumeAttachmentSpec{
			NodeName: arguments["on"], Source: storagev1.VolumeAttachmentSource{PersistentVolumeName: &name}}})
	case "detach":
		h.delete(events.Key{Group: "storage.k8s.io", Resource: "volumeattachments", Name: name})
	case "drop-claim":
		h.delete(claim)
	default:
		h.t.Fatalf("unknown command %q", words[0])
	}
}

// TestNodesThatGoLeaveNothing: what is known of nodes' drivers and attachments goes with them.
func TestNodesThatGoLeaveNothing(t *testing.T) {
	c := newCluster(nil)
	v := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "v"}}
	v.Spec.CSI = &corev1.CSIPersistentVolumeSource{Driver: "d", VolumeHandle: "h"}
	c.volumes.setVolume("v", v)
	for i := range 10 {
		name := fmt.Sprint("n", i)
		a := &storagev1.VolumeAttachment{Spec: storagev1.VolumeAttachmentSpec{NodeName: name, Source: storagev1.VolumeAttachmentSource{PersistentVolumeName: &v.Name}}}
		c.setNode(name, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}})
		c.setCSINode(name, &storagev1.CSINode{Spec: storagev1.CSINodeSpec{Drivers: []storagev1.CSINodeDriver{{Name: "d"}}}})
		c.setAttachment("a", a)
		if got := c.byName[name].attached; got == nil || got.count["d"] != 1 || !got.drivers["d"] {
			t.Fatalf("%s has %+v", name, got)
		}
		if i%2 == 0 {
			c.setAttachment("a", nil)
			c.setCSINode(name, nil)
		} else {
			c.setCSINode(name, nil)
			c.setAttachment("a", nil)
		}
		if n := c.byName[name]; n.attached != nil {
			t.Errorf("%s still has %+v", name, n.attached)
		}
		c.setNode(name, nil)
	}
	if n := len(c.volumes.attached); n != 0 {
		t.Errorf("%d nodes are remembered", n)
	}
}
