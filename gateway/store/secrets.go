package store

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections/sealed"
)

// SealSecrets gives Secrets, and nothing else, a Sealer that keeps their values
// out of the log, and destroys their keys when they are deleted.
func SealSecrets(keys *sealed.Keyring) func(schema.GroupResource) Sealer {
	return func(r schema.GroupResource) Sealer {
		if r != (schema.GroupResource{Resource: "secrets"}) {
			return nil
		}
		return secrets{keys}
	}
}

type secrets struct{ keys *sealed.Keyring }

var _ Destroyer = secrets{}

func (s secrets) Seal(_ context.Context, key events.Key, value, old runtime.Object) (runtime.Object, error) {
	secret, ok := value.(*corev1.Secret)
	if !ok {
		return nil, fmt.Errorf("%w: seal %s: it is a %T", events.ErrInvalid, key, value)
	}
	previous, _ := old.(*corev1.Secret)
	return s.keys.Seal(secret, previous)
}

func (s secrets) Open(_ context.Context, key events.Key, stored runtime.Object) (runtime.Object, bool, error) {
	secret, ok := stored.(*corev1.Secret)
	if !ok {
		return nil, false, fmt.Errorf("%w: open %s: it is a %T", events.ErrInvalid, key, stored)
	}
	value, err := s.keys.Open(secret)
	if errors.Is(err, events.ErrInvalid) {
		err = fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return value, false, err
}

func (s secrets) Destroy(_ context.Context, _ events.Key, stored runtime.Object) error {
	return s.keys.Destroy(string(stored.(*corev1.Secret).UID))
}
