package sealed

import (
	"bytes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/reckon-project/reckon/events"
	corev1 "k8s.io/api/core/v1"
)

// LastApplied is the annotation that holds what kubectl applied, values included.
const LastApplied = corev1.LastAppliedConfigAnnotation

// ErrDestroyed says that a Secret's key is gone. It is of class events.ErrGone.
var ErrDestroyed = fmt.Errorf("the secret's key was destroyed, its values are lost for good: %w", events.ErrGone)

// Keyring seals and opens Secrets. It is safe for concurrent use.
type Keyring struct {
	cluster cipher.AEAD
	store   KeyStore

	mu   sync.Mutex
	keys map[string]cipher.AEAD // by uid; at most keysKept
}

// keysKept is how many opened object keys stay in memory.
const keysKept = 4096

// NewKeyring makes a keyring from the cluster key (32 bytes) and the store of
// the objects' wrapped keys.
func NewKeyring(clusterKey []byte, store KeyStore) (*Keyring, error) {
	aead, err := newCipher(clusterKey)
	if err != nil {
		return nil, fmt.Errorf("%w: cluster key: %w", events.ErrInvalid, err)
	}
	return &Keyring{cluster: aead, store: store, keys: map[string]cipher.AEAD{}}, nil
}

// Seal gives the Secret as it goes into the log; secret is not changed.
// previous is the object's sealed version before, nil for a new object. What
// is sealed already stays as it is.
func (k *Keyring) Seal(secret, previous *corev1.Secret) (*corev1.Secret, error) {
	uid := string(secret.UID)
	if uid == "" {
		return nil, fmt.Errorf("seal secret %s/%s: %w: it has no uid", secret.Namespace, secret.Name, events.ErrInvalid)
	}
	aead, err := k.key(uid, previous == nil || !isSealed(previous))
	if err != nil {
		return nil, fmt.Errorf("seal secret %s/%s: %w", secret.Namespace, secret.Name, err)
	}
	out := secret.DeepCopy()
	for key, text := range out.StringData { // what the API server does before it stores one
		if out.Data == nil {
			out.Data = map[string][]byte{}
		}
		out.Data[key] = []byte(text)
	}
	out.StringData = nil
	var before corev1.Secret
	if previous != nil && previous.UID == secret.UID {
		before = *previous
	}
	for _, key := range slices.Sorted(maps.Keys(out.Data)) {
		out.Data[key] = keep(aead, out.Data[key], before.Data[key], dataContext(uid, key))
	}
	if text, ok := out.Annotations[LastApplied]; ok {
		was, _ := base64.StdEncoding.DecodeString(before.Annotations[LastApplied])
		value := []byte(text)
		if envelope, ok := annotationEnvelope(text); ok {
			value = envelope
		}
		out.Annotations[LastApplied] = base64.StdEncoding.EncodeToString(keep(aead, value, was, annotationContext(uid)))
	}
	return out, nil
}

// keep seals value, or gives the envelope before if that holds the same.
func keep(aead cipher.AEAD, value, before []byte, context string) []byte {
	if isEnvelope(value) {
		if _, err := open(aead, value, context); err == nil {
			return value // sealed already, here
		}
	}
	if isEnvelope(before) {
		if was, err := open(aead, before, context); err == nil && bytes.Equal(was, value) {
			return before
		}
	}
	return seal(aead, value, context)
}

// Open gives the Secret with its values; sealed is not changed. A value that
// isn't sealed stays as it is.
//
// After Destroy it returns ErrDestroyed and the Secret without its sealed
// values (empty data under the same keys, no last-applied annotation), for
// readers of the past that want to show the rest.
func (k *Keyring) Open(sealed *corev1.Secret) (*corev1.Secret, error) {
	out := sealed.DeepCopy()
	uid := string(out.UID)
	annotation, annotated := annotationEnvelope(out.Annotations[LastApplied])
	if !isSealed(sealed) {
		return out, nil
	}
	aead, err := k.key(uid, false)
	if err != nil {
		redact(out, annotated)
		return out, fmt.Errorf("open secret %s/%s: %w", out.Namespace, out.Name, err)
	}
	for _, key := range slices.Sorted(maps.Keys(out.Data)) {
		if !isEnvelope(out.Data[key]) {
			continue
		}
		if out.Data[key], err = open(aead, out.Data[key], dataContext(uid, key)); err != nil {
			redact(out, annotated)
			return out, fmt.Errorf("open secret %s/%s: %w: value %q: %w", out.Namespace, out.Name, events.ErrInvalid, key, err)
		}
	}
	if annotated {
		text, err := open(aead, annotation, annotationContext(uid))
		if err != nil {
			redact(out, annotated)
			return out, fmt.Errorf("open secret %s/%s: %w: annotation: %w", out.Namespace, out.Name, events.ErrInvalid, err)
		}
		out.Annotations[LastApplied] = string(text)
	}
	return out, nil
}

// Destroy forgets an object's key: nothing sealed with it opens again. It may
// be called twice.
func (k *Keyring) Destroy(uid string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.keys, uid)
	if err := k.store.Delete(uid); err != nil {
		return fmt.Errorf("destroy the key of uid %s: %w", uid, err)
	}
	return nil
}

// Forget drops an object's key from memory, after another keyring on the same
// store destroyed it.
func (k *Keyring) Forget(uid string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.keys, uid)
}

// key gives an object's key; create makes one where there is none.
func (k *Keyring) key(uid string, create bool) (cipher.AEAD, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if aead, ok := k.keys[uid]; ok {
		return aead, nil
	}
	var key []byte
	wrapped, err := k.store.Get(uid)
	switch {
	case err == nil:
		if key, err = open(k.cluster, wrapped, keyContext(uid)); err != nil {
			return nil, fmt.Errorf("%w: the key of uid %s doesn't open with this cluster key: %w", events.ErrInvalid, uid, err)
		}
	case !errors.Is(err, events.ErrNotFound):
		return nil, err
	case !create:
		return nil, ErrDestroyed
	default:
		key = make([]byte, keySize)
		rand.Read(key) // never fails
		if err := k.store.Put(uid, seal(k.cluster, key, keyContext(uid))); err != nil {
			return nil, err
		}
	}
	aead, err := newCipher(key)
	if err != nil {
		return nil, err
	}
	if len(k.keys) >= keysKept {
		clear(k.keys)
	}
	k.keys[uid] = aead
	return aead, nil
}

func redact(s *corev1.Secret, annotated bool) {
	for key := range s.Data {
		s.Data[key] = []byte{}
	}
	if annotated {
		delete(s.Annotations, LastApplied)
	}
}

// isSealed reports whether anything in a Secret is an envelope.
func isSealed(s *corev1.Secret) bool {
	for _, value := range s.Data {
		if isEnvelope(value) {
			return true
		}
	}
	_, annotated := annotationEnvelope(s.Annotations[LastApplied])
	return annotated
}

// annotationEnvelope gives the envelope in an annotation's text, if it is one.
func annotationEnvelope(text string) ([]byte, bool) {
	value, err := base64.StdEncoding.DecodeString(text)
	return value, err == nil && isEnvelope(value)
}

func dataContext(uid, key string) string  { return "data\x00" + uid + "\x00" + key }
func annotationContext(uid string) string { return "annotation\x00" + uid }
func keyContext(uid string) string        { return "key\x00" + uid }
