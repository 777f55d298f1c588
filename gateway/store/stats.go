package store

import (
	"context"
	"fmt"
	"sync"

	"k8s.io/apiserver/pkg/storage"

	"github.com/reckon-project/reckon/events"
)

// sizes estimates how large the stored objects are.
type sizes struct {
	mu   sync.Mutex
	keys storage.KeysFunc // nil: not asked for
}

// EnableResourceSizeEstimation implements storage.Interface.
func (s *Store) EnableResourceSizeEstimation(keys storage.KeysFunc) error {
	if keys == nil {
		return fmt.Errorf("%w: no function gives the keys", events.ErrInvalid)
	}
	s.sizes.mu.Lock()
	defer s.sizes.mu.Unlock()
	if s.sizes.keys != nil {
		return fmt.Errorf("%w: sizes are estimated already", events.ErrInvalid)
	}
	s.sizes.keys = keys
	return nil
}

// sampled is how many objects are measured for an estimate.
const sampled = 32

// Stats implements storage.Interface. The size is that of some objects' JSON,
// and given only where it was asked for.
func (s *Store) Stats(ctx context.Context) (storage.Stats, error) {
	snap, err := s.fresh(ctx)
	if err != nil {
		return storage.Stats{}, err
	}
	stats := storage.Stats{ObjectCount: int64(snap.Len(s.resource.Group, s.resource.Resource))}
	s.sizes.mu.Lock()
	enabled := s.sizes.keys != nil
	s.sizes.mu.Unlock()
	if !enabled || stats.ObjectCount == 0 {
		return stats, nil
	}
	var n, total int64
	for o := range snap.List(s.resource.Group, s.resource.Resource, "") {
		data, err := events.EncodeObject(o.Value)
		if err != nil {
			return stats, err
		}
		n, total = n+1, total+int64(len(data))
		if n == sampled {
			break
		}
	}
	stats.EstimatedAverageObjectSizeBytes = total / n
	return stats, nil
}
