package imagegc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/utils/clock"
)

// Policy says when images go.
type Policy struct {
	High, Low int // percent of the disk that is in use
	MinAge    time.Duration
	MaxAge    time.Duration // 0: none
}

// Store holds the images.
type Store interface {
	ListImages(ctx context.Context) ([]*cri.Image, error)
	RemoveImage(ctx context.Context, id string) error
}

// Collector looks after one store.
type Collector struct {
	Store  Store
	Policy Policy
	Clock  clock.PassiveClock
	// InUse gives what containers run on: ids or names of images.
	InUse func(ctx context.Context) (map[string]bool, error)
	// Ours says whether the node pulled an image itself.
	Ours func(id string) bool
	// Space is the images' disk.
	Space func() (available, capacity int64, err error)

	mu    sync.Mutex
	known map[string]*image // by id
	began time.Time
}

type image struct {
	id       string
	size     int64
	detected time.Time
	used     time.Time // zero: never seen in use
	pinned   bool
}

// ShortError says that less could be freed than needed.
type ShortError struct{ Wanted, Eligible int64 }

func (e *ShortError) Error() string {
	return fmt.Sprintf("Failed to garbage collect required amount of images. Attempted to free %d bytes, but only found %d bytes eligible to free.", e.Wanted, e.Eligible)
}

// ErrCapacity says that the disk's size can't be told.
var ErrCapacity = errors.New("invalid capacity 0 on image filesystem")

// Collect looks once, and gives how many bytes it freed.
func (c *Collector) Collect(ctx context.Context) (freed int64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.Clock.Now()
	if err := c.look(ctx, now); err != nil {
		return 0, err
	}
	if age := c.Policy.MaxAge; age > 0 && now.Sub(c.began) > age {
		old, err := c.free(ctx, now, -1, func(i *image) bool { return now.Sub(i.lastUse()) > age })
		freed += old
		if err != nil {
			return freed, err
		}
	}
	available, capacity, err := c.Space()
	if err != nil {
		return freed, err
	}
	if capacity <= 0 {
		return freed, ErrCapacity
	}
	available = min(available, capacity)
	if int(100-available*100/capacity) < c.Policy.High {
		return freed, nil
	}
	wanted := capacity*int64(100-c.Policy.Low)/100 - available
	more, err := c.free(ctx, now, wanted, func(*image) bool { return true })
	freed += more
	if err == nil && more < wanted {
		err = &ShortError{Wanted: wanted, Eligible: more}
	}
	return freed, err
}

// RemoveUnused removes all that may go, whatever space there is.
func (c *Collector) RemoveUnused(ctx context.Context) (freed int64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.Clock.Now()
	if err := c.look(ctx, now); err != nil {
		return 0, err
	}
	return c.free(ctx, now, -1, func(*image) bool { return true })
}

func (i *image) lastUse() time.Time {
	if i.used.IsZero() {
		return i.detected
	}
	return i.used
}

// look brings what is known up to date.
func (c *Collector) look(ctx context.Context, now time.Time) error {
	images, err := c.Store.ListImages(ctx)
	if err != nil {
		return err
	}
	inUse, err := c.InUse(ctx)
	if err != nil {
		return err
	}
	if c.began.IsZero() {
		c.began = now
	}
	had := c.known
	c.known = map[string]*image{}
	for _, i := range images {
		k := had[i.Id]
		if k == nil {
			k = &image{id: i.Id, detected: now}
		}
		k.size, k.pinned = int64(i.Size), i.Pinned
		if inUse[i.Id] || slices.ContainsFunc(i.RepoTags, func(s string) bool { return inUse[s] }) || slices.ContainsFunc(i.RepoDigests, func(s string) bool { return inUse[s] }) {
			k.used = now
		}
		c.known[i.Id] = k
	}
	return nil
}

// free removes what is eligible until enough is gone (wanted < 0: all of it).
func (c *Collector) free(ctx context.Context, now time.Time, wanted int64, eligible func(*image) bool) (freed int64, err error) {
	var unused []*image
	for _, i := range c.known {
		if i.used.Equal(now) || i.pinned || now.Sub(i.detected) < c.Policy.MinAge || !c.Ours(i.id) || !eligible(i) {
			continue
		}
		unused = append(unused, i)
	}
	slices.SortFunc(unused, func(x, y *image) int {
		return cmp.Or(x.used.Compare(y.used), x.detected.Compare(y.detected), cmp.Compare(x.id, y.id))
	})
	var errs []error
	for _, i := range unused {
		if wanted >= 0 && freed >= wanted {
			break
		}
		if err := c.Store.RemoveImage(ctx, i.id); err != nil {
			errs = append(errs, err)
			continue
		}
		delete(c.known, i.id)
		freed += i.size
	}
	return freed, errors.Join(errs...)
}
