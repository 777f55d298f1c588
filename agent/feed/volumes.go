package feed

import (
	"encoding/json"
	"fmt"

	v1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/events"
)

// applyClaim takes in a claim: pods look again once it has a volume.
func (s *Store) applyClaim(key name, data []byte) (Change, error) {
	old := s.claims[key]
	if err := keep(s.claims, key, data); err != nil {
		return Change{}, err
	}
	c := s.claims[key]
	if c == nil || old != nil && old.UID == c.UID && old.Spec.VolumeName == c.Spec.VolumeName && old.Status.Phase == c.Status.Phase && sameSize(old, c) {
		return Change{}, nil
	}
	return Change{Namespace: key.namespace}, nil
}

// applyVolume takes in a volume: pods look again once it is there.
func (s *Store) applyVolume(key name, data []byte) (Change, error) {
	if data == nil {
		delete(s.volumes, key.name)
		return Change{}, nil
	}
	v := &v1.PersistentVolume{}
	if err := json.Unmarshal(data, v); err != nil {
		return Change{}, fmt.Errorf("%w: feed's volume %s: %v", events.ErrInvalid, key.name, err)
	}
	old := s.volumes[key.name]
	s.volumes[key.name] = v
	change := Change{Volume: v}
	if v.Spec.ClaimRef != nil && (old == nil || old.UID != v.UID || !old.Spec.Capacity.Storage().Equal(*v.Spec.Capacity.Storage())) {
		change.Namespace = v.Spec.ClaimRef.Namespace
	}
	return change, nil
}

// Claim gives a claim of the feed.
func (s *Store) Claim(namespace, n string) (*v1.PersistentVolumeClaim, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	o, ok := s.claims[name{namespace, n}]
	return o, ok
}

// Volume gives a volume of the feed.
func (s *Store) Volume(n string) (*v1.PersistentVolume, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	o, ok := s.volumes[n]
	return o, ok
}

// sameSize reports that two versions of a claim have the same size and are at
// the same step of getting another.
func sameSize(a, b *v1.PersistentVolumeClaim) bool {
	return a.Status.Capacity.Storage().Equal(*b.Status.Capacity.Storage()) &&
		a.Status.AllocatedResourceStatuses[v1.ResourceStorage] == b.Status.AllocatedResourceStatuses[v1.ResourceStorage]
}
