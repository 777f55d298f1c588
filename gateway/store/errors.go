package store

import (
	"context"
	"errors"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/storage"

	"github.com/reckon-project/reckon/events"
)

const (
	listTooOld  = "The resourceVersion for the provided list is too old."
	watchTooOld = "The resourceVersion for the provided watch is too old."
	// Its first clause is what clients know from Kubernetes.
	pageTooOld = "The provided continue parameter is too old to display a consistent list result: the state is no longer kept. " +
		"Start the list again, or go on with the token in this answer, which continues in the present state and so " +
		"may miss or repeat what changed in between."
	retrySeconds = 1
)

// apiError maps the error classes of events to what the API server understands.
// key names the object; "" if there is none.
func apiError(err error, key string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return storage.NewTimeoutError(key, err.Error())
	case errors.Is(err, events.ErrNotFound):
		return storage.NewKeyNotFoundError(key, 0)
	case errors.Is(err, events.ErrExists):
		return storage.NewKeyExistsError(key, 0)
	case errors.Is(err, events.ErrConflict), errors.Is(err, events.ErrVoid):
		return storage.NewResourceVersionConflictsError(key, 0)
	case errors.Is(err, events.ErrGone):
		return apierrors.NewResourceExpired(listTooOld)
	case errors.Is(err, events.ErrInvalid):
		return apierrors.NewBadRequest(err.Error())
	case errors.Is(err, events.ErrUnavailable):
		return apierrors.NewServiceUnavailable(err.Error())
	}
	return storage.NewInternalError(err)
}

// pageExpired is the answer to a continue token whose state is gone: it carries
// a token that goes on in the present state.
func pageExpired(continueKey, prefix string) error {
	expired := apierrors.NewResourceExpired(pageTooOld)
	token, err := storage.EncodeContinue(continueKey, prefix, -1)
	if err != nil {
		return expired
	}
	expired.ErrStatus.Continue = token
	return expired
}

// tooNew is the answer to a resourceVersion that is not reached yet.
func tooNew(want, have uint64) error {
	return storage.NewTooLargeResourceVersionError(want, have, retrySeconds)
}
