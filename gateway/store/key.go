package store

import (
	"strings"

	"k8s.io/apiserver/pkg/storage"

	"github.com/reckon-project/reckon/events"
)

// objectKey parses the key of one object: <prefix>/[<namespace>/]<name>. A key
// that can't be an object's has an empty name.
func (s *Store) objectKey(key string) (events.Key, error) {
	rel, _, err := s.relative(key, false)
	if err != nil {
		return events.Key{}, err
	}
	k := events.Key{Group: s.resource.Group, Resource: s.resource.Resource}
	namespace, name, namespaced := strings.Cut(rel, "/")
	if namespaced {
		k.Namespace, k.Name = namespace, name
	} else {
		k.Name = rel
	}
	return k, nil
}

// relative gives the part of a key after the resource prefix, and the key as
// upstream's storage functions want it.
func (s *Store) relative(key string, recursive bool) (rel, prepared string, err error) {
	prepared, err = storage.PrepareKey(s.prefix+"/", key, recursive)
	if err != nil {
		return "", "", err
	}
	return prepared[len(s.prefix)+1:], prepared, nil
}

// storageKey is the inverse of objectKey.
func (s *Store) storageKey(k events.Key) string { return s.prefix + "/" + relativeKey(k) }

func relativeKey(k events.Key) string {
	if k.Namespace == "" {
		return k.Name
	}
	return k.Namespace + "/" + k.Name
}

// tableKey turns a relative key into a key of the projection's tables.
func tableKey(rel string) string {
	if strings.Contains(rel, "/") {
		return rel
	}
	return "/" + rel
}
