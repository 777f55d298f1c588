// Package memory is the in-memory twin of the bus: the same promises without
// durability, for simulation and fast tests. It starts no goroutine of its own
// but for tunnels and expiry, and works under testing/synctest.
package memory

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"net"
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
	b.log, b.volatile = newLog(now), newLog(now)
	b.feed = &feed{values: map[string]bus.FeedItem{}, changed: make(chan struct{})}
	b.blobs = &blobs{m: map[string][]byte{}}
	return b
}

func (b *Bus) Log() bus.Log      { return b.log }
func (b *Bus) Volatile() bus.Log { return b.volatile }
func (b *Bus) Feed() bus.Feed    { return b.feed }
func (b *Bus) Blobs() bus.Blobs  { return b.blobs }
func (b *Bus) Close() error      { return nil }

// Match reports whether a NATS subject filter matches subject.
func Match(filter, subject string) bool {
	f, s := strings.Split(filter, "."), strings.Split(subject, ".")
	for i, t := range f {
		if t == ">" {
			return len(s) > i
		}
		if i >= len(s) || (t != "*" && t != s[i]) {
			return false
		}
	}
	return len(f) == len(s)
}

func matchAny(filters []string, subject string) bool {
	return len(filters) == 0 || slices.ContainsFunc(filters, func(f string) bool { return Match(f, subject) })
}

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

type feed struct {
	mu      sync.Mutex
	values  map[string]bus.FeedItem
	order   []bus.FeedItem // every put, for watchers
	changed chan struct{}
}

func (f *feed) Put(_ context.Context, subject string, header events.Header, data []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	item := bus.FeedItem{Subject: subject, Header: header, Data: data}
	f.values[subject] = item
	f.order = append(f.order, item)
	close(f.changed)
	f.changed = make(chan struct{})
	return nil
}

func (f *feed) Watch(ctx context.Context, filters ...string) iter.Seq2[bus.FeedItem, error] {
	return func(yield func(bus.FeedItem, error) bool) {
		f.mu.Lock()
		var start []bus.FeedItem
		for subject, item := range f.values {
			if matchAny(filters, subject) {
				start = append(start, item)
			}
		}
		at := len(f.order)
		f.mu.Unlock()
		slices.SortFunc(start, func(a, b bus.FeedItem) int { return strings.Compare(a.Subject, b.Subject) })
		for _, item := range start {
			if !yield(item, nil) {
				return
			}
		}
		for {
			f.mu.Lock()
			news, changed := f.order[at:], f.changed
			at = len(f.order)
			f.mu.Unlock()
			for _, item := range news {
				if matchAny(filters, item.Subject) && !yield(item, nil) {
					return
				}
			}
			if len(news) > 0 {
				continue
			}
			select {
			case <-ctx.Done():
				yield(bus.FeedItem{}, ctx.Err())
				return
			case <-changed:
			}
		}
	}
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

type listener struct {
	bus     *Bus
	subject string
	conns   chan net.Conn
	done    chan struct{}
	once    sync.Once
}

type addr string

func (a addr) Network() string { return "bus" }
func (a addr) String() string  { return string(a) }

type conn struct {
	net.Conn
	local, remote addr
}

func (c conn) LocalAddr() net.Addr  { return c.local }
func (c conn) RemoteAddr() net.Addr { return c.remote }
