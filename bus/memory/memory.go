package memory

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
)

// Bus is a whole bus in memory. All components of a test share one.
type Bus struct {
	log, volatile *log
	feed          *feed
	blobs         *blobs
	now           func() time.Time

	mu        sync.Mutex
	subs      []*subscription
	servers   []*server
	listeners []*listener
	leaders   map[string]chan struct{} // held leases; closed on release
}

// New makes an empty bus. now gives the time events are stored at.
func New(now func() time.Time) *Bus {
	b := &Bus{now: now, leaders: map[string]chan struct{}{}}
	b.log, b.volatile = newLog(now, false), newLog(now, true)
	b.feed = &feed{values: map[string]value{}, watchers: map[*watcher]struct{}{}}
	b.blobs = &blobs{m: map[string][]byte{}}
	return b
}

func (b *Bus) Log() bus.Log      { return b.log }
func (b *Bus) Volatile() bus.Log { return b.volatile }
func (b *Bus) Feed() bus.Feed    { return b.feed }
func (b *Bus) Blobs() bus.Blobs  { return b.blobs }
func (b *Bus) Close() error      { return nil }

type blobs struct {
	mu sync.Mutex
	m  map[string][]byte
}

func (s *blobs) Put(_ context.Context, name string, r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.m[name] = data
	return nil
}

func (s *blobs) Get(_ context.Context, name string) (io.ReadCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	data, ok := s.m[name]
	if !ok {
		return nil, fmt.Errorf("blob %s: %w", name, events.ErrNotFound)
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

func (s *blobs) List(_ context.Context, prefix string) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for name := range s.m {
		if strings.HasPrefix(name, prefix) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out, nil
}

func (s *blobs) Delete(_ context.Context, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.m, name)
	return nil
}

// Lead gives the lease to one holder at a time, first come first served by chance.
func (b *Bus) Lead(ctx context.Context, component, holder string) (bus.Leadership, error) {
	for {
		b.mu.Lock()
		held, taken := b.leaders[component]
		if !taken {
			break
		}
		b.mu.Unlock()
		select {
		case <-ctx.Done():
			return bus.Leadership{}, ctx.Err()
		case <-held:
		}
	}
	released := make(chan struct{})
	b.leaders[component] = released
	b.mu.Unlock()
	seq, err := b.log.Append(ctx, bus.Entry{Event: bus.ElectedEvent(component, holder, b.now())})
	lctx, cancel := context.WithCancel(ctx)
	release := sync.OnceFunc(func() {
		cancel()
		b.mu.Lock()
		delete(b.leaders, component)
		b.mu.Unlock()
		close(released)
	})
	if err != nil {
		release()
		return bus.Leadership{}, err
	}
	context.AfterFunc(lctx, release)
	return bus.Leadership{Component: component, Epoch: seq, Context: lctx, Release: release}, nil
}

var _ bus.Bus = (*Bus)(nil)
