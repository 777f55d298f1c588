package store

import (
	"context"
	"errors"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections/sealed"
)

// AnnotationWithheld says of a Secret why its values are empty.
const AnnotationWithheld = "reckon.dev/values-withheld"

// WithheldSecrets is SealSecrets for a cluster that has another one's log without
// the keys to its Secrets: those that came with it are shown without
// values. A Secret that is made or changed here is sealed with a key of its own.
func WithheldSecrets(keys *sealed.Keyring) func(schema.GroupResource) Sealer {
	with := SealSecrets(keys)
	return func(r schema.GroupResource) Sealer {
		inner, ok := with(r).(secrets)
		if !ok {
			return nil
		}
		return withheld{inner}
	}
}

type withheld struct{ secrets }

// Seal gives up the values that nobody here can read when the Secret is changed.
func (w withheld) Seal(ctx context.Context, key events.Key, value, old runtime.Object) (runtime.Object, error) {
	if secret, ok := value.(*corev1.Secret); ok && secret.Annotations[AnnotationWithheld] != "" {
		secret = secret.DeepCopy()
		delete(secret.Annotations, AnnotationWithheld)
		value = secret
	}
	out, err := w.secrets.Seal(ctx, key, value, old)
	if errors.Is(err, sealed.ErrDestroyed) {
		return w.secrets.Seal(ctx, key, value, nil)
	}
	return out, err
}

func (w withheld) Open(ctx context.Context, key events.Key, stored runtime.Object) (runtime.Object, bool, error) {
	value, stale, err := w.secrets.Open(ctx, key, stored)
	if secret, ok := value.(*corev1.Secret); ok && errors.Is(err, sealed.ErrDestroyed) {
		return Withhold(secret), stale, nil
	}
	return value, stale, err
}

// Withhold marks a Secret, which it changes, as one whose values stayed elsewhere.
func Withhold(secret *corev1.Secret) *corev1.Secret {
	if secret.Annotations == nil {
		secret.Annotations = map[string]string{}
	}
	secret.Annotations[AnnotationWithheld] = "the values of this Secret are sealed with a key that stayed in the cluster that this one was forked from"
	return secret
}
