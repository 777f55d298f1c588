package controllertest

import (
	"encoding/json"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"

	"github.com/reckon-project/reckon/events"
)

// patch applies the write's patch: a merge patch, or a strategic one if its
// content type says so.
func (w *write) patch(old runtime.Object) (runtime.Object, error) {
	if w.header.Get("Content-Type") != string(types.StrategicMergePatchType) {
		return events.ApplyPatch(old, w.body)
	}
	before, err := json.Marshal(old)
	if err != nil {
		return nil, err
	}
	after, err := strategicpatch.StrategicMergePatch(before, w.body, old)
	if err != nil {
		return nil, err
	}
	return events.DecodeObject(after)
}
