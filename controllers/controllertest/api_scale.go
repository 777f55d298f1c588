package controllertest

import (
	"errors"
	"fmt"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/events"
)

// scale is an update of old's scale subresource.
func (a *API) scale(old *events.Object, w *write) (*events.Event, error) {
	decoded, err := events.DecodeObject(w.body)
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	scale, ok := decoded.(*autoscalingv1.Scale)
	if !ok {
		return nil, apierrors.NewBadRequest("not a Scale")
	}
	if scale.ResourceVersion != "" && scale.ResourceVersion != old.Meta().GetResourceVersion() {
		return nil, apierrors.NewConflict(w.resource(), w.key.Name, errors.New("the object has been modified"))
	}
	value, err := events.ApplyPatch(old.Value, fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, scale.Spec.Replicas))
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	m := value.(metav1.Object)
	if scale.UID != "" {
		m.SetUID(scale.UID)
	}
	return a.replace(old, m, w)
}
