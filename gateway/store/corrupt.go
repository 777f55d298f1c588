package store

import (
	"errors"
	"fmt"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/features"
	"k8s.io/apiserver/pkg/storage"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
)

// ErrCorrupt is what a Sealer's Open returns (wrapped) for a stored form that
// can't be opened any more.
var ErrCorrupt = errors.New("corrupt object")

// unsafeDeletion reports whether objects that can't be read may be deleted,
// which is a feature gate of upstream.
func unsafeDeletion() bool {
	return utilfeature.DefaultFeatureGate.Enabled(features.AllowUnsafeMalformedObjectDeletion)
}

// unreadable is the answer for an object whose stored form can't be opened.
func unreadable(err error, key string) error {
	if unsafeDeletion() && errors.Is(err, ErrCorrupt) {
		return storage.NewCorruptObjError(key, err)
	}
	return storage.NewInternalError(fmt.Errorf("unable to transform key %q: %w", key, err))
}

// deletedUnreadable is the watch's answer for a deletion whose last state can't be shown.
func deletedUnreadable(err error) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusInternalServerError, Reason: metav1.StatusReasonStoreReadError,
		Message: "saw a DELETED event, but object data is corrupt: " + err.Error(),
	}}
}

// mostUnreadable is how many unreadable objects a list names before it gives up.
const mostUnreadable = 100

// unreadables gathers the objects of a list that can't be read, so that who has
// to remove them learns of all.
type unreadables struct {
	causes []metav1.StatusCause
	first  error
}

// add takes the error of one object; the error it returns ends the list.
func (u *unreadables) add(err error, resource schema.GroupResource) error {
	if !storage.IsCorruptObject(err) {
		if u.first == nil {
			return err
		}
		u.causes = append(u.causes, metav1.StatusCause{Type: metav1.CauseTypeUnexpectedServerResponse, Message: err.Error()})
		return u.err(resource)
	}
	var corrupt *storage.StorageError
	errors.As(err, &corrupt)
	if u.first == nil {
		u.first = err
	}
	u.causes = append(u.causes, metav1.StatusCause{
		Type: metav1.CauseTypeUnexpectedServerResponse, Field: corrupt.Key, Message: err.Error(),
	})
	if len(u.causes) < mostUnreadable {
		return nil
	}
	u.causes = append(u.causes, metav1.StatusCause{Type: metav1.CauseTypeTooMany, Message: "too many errors, the list is truncated"})
	return u.err(resource)
}

// err is nil if all could be read.
func (u *unreadables) err(resource schema.GroupResource) error {
	if u.first == nil {
		return nil
	}
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusInternalServerError, Reason: metav1.StatusReasonStoreReadError,
		Message: fmt.Sprintf("%s can't be read: %v (%d problems)", resource, u.first, len(u.causes)),
		Details: &metav1.StatusDetails{Group: resource.Group, Kind: resource.Resource, Name: "list", Causes: u.causes},
	}}
}
