package main

import (
	"context"
	"fmt"

	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/gateway/store"
	"github.com/reckon-project/reckon/projections/sealed"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// secretSealer seals Secrets on their way into the log.
type secretSealer struct{ keys *sealed.Keyring }

// sealerFor gives the sealer of Secrets, and none for anything else.
func sealerFor(keys *sealed.Keyring) func(schema.GroupResource) store.Sealer {
	return func(r schema.GroupResource) store.Sealer {
		if r != (schema.GroupResource{Resource: "secrets"}) {
			return nil
		}
		return secretSealer{keys}
	}
}

func (s secretSealer) Seal(_ context.Context, key events.Key, value, old runtime.Object) (runtime.Object, error) {
	secret, ok := value.(*corev1.Secret)
	if !ok {
		return nil, fmt.Errorf("seal %s: it is a %T", key, value)
	}
	previous, _ := old.(*corev1.Secret)
	return s.keys.Seal(secret, previous)
}

func (s secretSealer) Open(_ context.Context, key events.Key, stored runtime.Object) (runtime.Object, bool, error) {
	secret, ok := stored.(*corev1.Secret)
	if !ok {
		return nil, false, fmt.Errorf("open %s: it is a %T", key, stored)
	}
	value, err := s.keys.Open(secret)
	return value, false, err
}
