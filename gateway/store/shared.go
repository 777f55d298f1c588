package store

import (
	"bytes"
	"io"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// shared is an object on its way to many watchers: it is encoded once for each
// encoding, and copied for who wants to change it.
type shared struct {
	object runtime.Object

	mu      sync.Mutex
	encoded map[runtime.Identifier]*encoding
}

type encoding struct {
	once sync.Once
	data []byte
	err  error
}

var (
	_ runtime.CacheableObject   = (*shared)(nil)
	_ metav1.ObjectMetaAccessor = (*shared)(nil)
)

// CacheEncode implements runtime.CacheableObject.
func (s *shared) CacheEncode(id runtime.Identifier, encode func(runtime.Object, io.Writer) error, w io.Writer) error {
	e := s.encoding(id)
	e.once.Do(func() {
		var buf bytes.Buffer
		e.err = encode(s.GetObject(), &buf)
		e.data = buf.Bytes()
	})
	if e.err != nil {
		return e.err
	}
	_, err := w.Write(e.data)
	return err
}

func (s *shared) encoding(id runtime.Identifier) *encoding {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.encoded[id]
	if e == nil {
		e = &encoding{}
		if s.encoded == nil {
			s.encoded = map[runtime.Identifier]*encoding{}
		}
		s.encoded[id] = e
	}
	return e
}

// GetObject implements runtime.CacheableObject.
func (s *shared) GetObject() runtime.Object { return s.object.DeepCopyObject() }

// GetObjectKind implements runtime.Object.
func (s *shared) GetObjectKind() schema.ObjectKind { return s.object.GetObjectKind() }

// GetObjectMeta implements metav1.ObjectMetaAccessor; the metadata is for reading.
func (s *shared) GetObjectMeta() metav1.Object { return s.object.(metav1.Object) }

// DeepCopyObject implements runtime.Object.
func (s *shared) DeepCopyObject() runtime.Object { return &shared{object: s.GetObject()} }
