package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
)

// durability is the single server's: a committer for each stream on disk.
type durability struct {
	nats       *server.Server
	dir        string
	fast       bool
	log        *blocks
	space      *space
	stop       context.CancelFunc
	watching   sync.WaitGroup
	committers map[string]*committer
}

func (d *durability) Await(stream string, sequence uint64, done func(error)) {
	c := d.committers[stream]
	if c == nil || d.fast {
		done(nil)
		return
	}
	c.await(sequence, done)
}

func (d *durability) SyncAll(context.Context) error {
	if d.fast {
		return nil
	}
	return syncFileSystem(d.dir)
}

// Range asks the server's monitoring, which reads the stream's counters.
func (d *durability) Range(stream string) (first, last uint64, ok bool) {
	account, err := d.nats.JszAccount(&server.JSzOptions{Account: server.DEFAULT_GLOBAL_ACCOUNT, Streams: true})
	if err != nil {
		return 0, 0, false
	}
	for _, s := range account.Streams {
		if s.Name == stream {
			if s.State.Msgs == 0 {
				return s.State.LastSeq + 1, s.State.LastSeq, true
			}
			return s.State.FirstSeq, s.State.LastSeq, true
		}
	}
	return 0, 0, false
}

// ReadBlocks reads LOG only: in VOLATILE any message may have been replaced.
func (d *durability) ReadBlocks(ctx context.Context, stream string, from, last uint64, yield func(bus.Stored) bool) {
	if stream != bus.StreamLog {
		return
	}
	if err := d.log.read(ctx, from, last, yield); err != nil && !errors.Is(err, errBlocks) && ctx.Err() == nil {
		slog.Debug("read the log's files; JetStream is asked instead", "error", err)
	}
}

// Full says why appends are refused, nil if they aren't.
func (d *durability) Full() error { return d.space.full() }

func (d *durability) close() error {
	var first error
	d.stop()
	d.watching.Wait()
	for _, c := range d.committers {
		if err := c.close(); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// openDurability makes what a run before this one left durable, and checks
// that nothing is missing of what it had acknowledged.
func (s *Server) openDurability(ctx context.Context, js jetstream.JetStream) (*durability, error) {
	d := &durability{nats: s.nats, dir: s.store, fast: s.options.Durability == Fast, committers: map[string]*committer{}, stop: func() {}}
	d.space = &space{dir: s.store, account: s.nats.GlobalAccount()}
	if err := d.space.check(); err != nil {
		return nil, err
	}
	if err := syncFileSystem(s.store); err != nil {
		return nil, fmt.Errorf("make the log durable: %w", err)
	}
	for _, name := range []string{bus.StreamLog, bus.StreamVolatile} {
		stream, err := js.Stream(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("look at stream %s: %w", name, err)
		}
		state := stream.CachedInfo().State
		m, durable, err := openMark(filepath.Join(s.store, "durable"), name)
		if err != nil {
			return nil, err
		}
		if state.LastSeq < durable {
			m.close() //nolint:errcheck // the error below says more
			return nil, fmt.Errorf("%w: %s ends at %d, but %d had been acknowledged: the disk lost data; restore a backup", events.ErrUnavailable, name, state.LastSeq, durable)
		}
		if name == bus.StreamLog && state.NumDeleted > 0 {
			m.close() //nolint:errcheck // the error below says more
			return nil, fmt.Errorf("%w: %d events are missing within %s (%d to %d): the disk lost data; restore a backup", events.ErrUnavailable, state.NumDeleted, name, state.FirstSeq, state.LastSeq)
		}
		b := &blocks{stream: name, dir: streamDir(s.store, name)}
		if err := b.syncAll(); err != nil {
			return nil, err
		}
		if name == bus.StreamLog {
			d.log = &blocks{stream: name, dir: b.dir}
		}
		d.committers[name] = newCommitter(name, d.space.after(b.sync), m, state.LastSeq, s.options.OnSyncFailure)
		if err := m.write(state.LastSeq); err != nil {
			return nil, fmt.Errorf("write the durable mark of %s: %w", name, err)
		}
	}
	watching, stop := context.WithCancel(context.Background())
	d.stop = stop
	d.watching.Go(func() { d.space.watch(watching, s.options.Log) })
	return d, nil
}

// serveDurable answers programs that publish from outside.
func (s *Server) serveDurable(ctx context.Context, b bus.Bus) error {
	return b.Serve(ctx, bus.DurableSubject, func(ctx context.Context, m bus.Message) (bus.Message, error) {
		var r bus.DurableRequest
		if err := json.Unmarshal(m.Data, &r); err != nil {
			return bus.Message{}, fmt.Errorf("%w: %w", events.ErrInvalid, err)
		}
		if s.options.Cluster != nil || s.options.Durability == Fast {
			return bus.Message{Data: []byte("delegated")}, nil
		}
		if r.Stream == "" {
			return bus.Message{}, s.durability.SyncAll(ctx)
		}
		done := make(chan error, 1)
		s.durability.Await(r.Stream, r.Sequence, func(err error) { done <- err })
		select {
		case err := <-done:
			return bus.Message{}, err
		case <-ctx.Done():
			return bus.Message{}, ctx.Err()
		}
	})
}
