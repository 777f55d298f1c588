package controllertest

import (
	"encoding/json"
	"errors"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"

	"github.com/reckon-project/reckon/events"
)

// patch applies the write's patch: a merge patch, or a strategic one if its
// content type says so. A resourceVersion in it is a precondition.
func (w *write) patch(old runtime.Object) (runtime.Object, error) {
	var named metav1.PartialObjectMetadata
	if err := json.Unmarshal(w.body, &named); err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	if version := old.(metav1.Object).GetResourceVersion(); named.ResourceVersion != "" && named.ResourceVersion != version {
		return nil, apierrors.NewConflict(w.resource(), w.key.Name, errors.New("the object has been modified"))
	}
	if w.header.Get("Content-Type") != string(types.StrategicMergePatchType) {
		return asked(events.ApplyPatch(old, w.body))
	}
	before, err := json.Marshal(old)
	if err != nil {
		return nil, err
	}
	after, err := strategicpatch.StrategicMergePatch(before, w.body, old)
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	return asked(events.DecodeObject(after))
}

// asked makes an error the fault of who asked.
func asked(value runtime.Object, err error) (runtime.Object, error) {
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	return value, nil
}
