package revision

import (
	"encoding/json"
	"fmt"
	"reflect"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"

	"github.com/reckon-project/reckon/events"
)

// Data is the patch that makes an object's pod template this one.
func Data(t *corev1.PodTemplateSpec) ([]byte, error) {
	encoded, err := json.Marshal(t)
	if err != nil {
		return nil, fmt.Errorf("encode a pod template: %w", err)
	}
	// Through a map: its keys are sorted, as in the data that Kubernetes wrote.
	var template map[string]any
	if err := json.Unmarshal(encoded, &template); err != nil {
		return nil, fmt.Errorf("encode a pod template: %w", err)
	}
	template["$patch"] = "replace"
	return json.Marshal(map[string]any{"spec": map[string]any{"template": template}})
}

// Template is the pod template that a revision holds.
func Template(r *appsv1.ControllerRevision) (*corev1.PodTemplateSpec, error) {
	var patch struct {
		Spec struct {
			Template *corev1.PodTemplateSpec `json:"template"`
		} `json:"spec"`
	}
	if err := json.Unmarshal(raw(r), &patch); err != nil {
		return nil, fmt.Errorf("%w: the data of revision %s: %w", events.ErrInvalid, r.Name, err)
	}
	if patch.Spec.Template == nil {
		return nil, fmt.Errorf("%w: the data of revision %s has no pod template", events.ErrInvalid, r.Name)
	}
	return patch.Spec.Template, nil
}

// holds reports whether a revision's data mean template, whose own are data. Data
// that another version of the API wrote may differ in bytes and mean the same.
func holds(r *appsv1.ControllerRevision, data []byte, template *corev1.PodTemplateSpec) bool {
	if string(raw(r)) == string(data) {
		return true
	}
	t, err := Template(r)
	return err == nil && apiequality.Semantic.DeepEqual(t, template)
}

// sameData compares two revisions' data.
func sameData(a, b *appsv1.ControllerRevision) bool {
	x, y := raw(a), raw(b)
	if string(x) == string(y) {
		return true
	}
	var v, w any
	return json.Unmarshal(x, &v) == nil && json.Unmarshal(y, &w) == nil && reflect.DeepEqual(v, w)
}

func raw(r *appsv1.ControllerRevision) []byte {
	if r.Data.Raw == nil && r.Data.Object != nil {
		if data, err := json.Marshal(r.Data.Object); err == nil {
			return data
		}
	}
	return r.Data.Raw
}
