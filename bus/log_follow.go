package bus

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/reckon-project/reckon/events"
)

const (
	pullMessages = 5000 // measured: the default of 500 gives a third less
	maxSlice     = 2048 // events of one slice of Follow
	maxBuffered  = 2 * pullMessages
)

// follower reads one stream: first what is far behind from its files, if they
// are at hand (log_catchup.go), then through an ordered consumer. NATS' client
// makes a new consumer after a gap or a reconnect; follower drops what it has seen.
type follower struct {
	log     *natsLog
	from    uint64
	end     uint64 // 0: goes on for ever
	filters []string
	compact *compactor

	mu       sync.Mutex
	buffer   []*events.Event
	last     uint64 // newest sequence taken in
	finished bool   // nothing up to end is outstanding
	err      error
	filled   chan struct{} // has room for one signal
	drained  chan struct{}
}

func (f *follower) run(ctx context.Context) iter.Seq2[[]*events.Event, error] {
	return func(yield func([]*events.Event, error) bool) {
		l := f.log
		if !f.catchUp(ctx, yield) || f.end > 0 && f.from > f.end {
			return
		}
		f.filled, f.drained = make(chan struct{}, 1), make(chan struct{}, 1)
		f.last, f.compact = f.from-1, newCompactor()
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		gctx, done := l.c.guardAPI(ctx, l.stream)
		defer done()
		consumer, err := l.c.js.OrderedConsumer(gctx, l.stream, jetstream.OrderedConsumerConfig{
			FilterSubjects: f.filters, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: f.from,
		})
		if err != nil {
			yield(nil, unavailable("follow "+l.stream, cause(gctx, err)))
			return
		}
		if f.end > 0 && consumer.CachedInfo().NumPending == 0 {
			return
		}
		stop, err := consumer.Consume(func(m jetstream.Msg) { f.take(ctx, m) },
			jetstream.PullMaxMessages(pullMessages),
			jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) { f.fail(err) }))
		if err != nil {
			yield(nil, unavailable("follow "+l.stream, cause(gctx, err)))
			return
		}
		defer func() {
			cancel()
			stop.Stop()
			<-stop.Closed()
		}()
		for {
			slice, finished, err := f.next(ctx)
			if len(slice) > 0 {
				if err := await(ctx, l.c.durability, l.stream, slice[len(slice)-1].Sequence); err != nil {
					yield(nil, unavailable("follow "+l.stream, err))
					return
				}
				for len(slice) > 0 {
					n := min(len(slice), maxSlice)
					if !yield(slice[:n:n], nil) {
						return
					}
					slice = slice[n:]
				}
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if finished {
				return
			}
		}
	}
}

// take is called for each message, in order.
func (f *follower) take(ctx context.Context, m jetstream.Msg) {
	meta, err := m.Metadata()
	if err != nil {
		f.fail(err)
		return
	}
	seq := meta.Sequence.Stream
	f.mu.Lock()
	if seq <= f.last || f.finished || f.err != nil {
		f.mu.Unlock()
		return
	}
	// Nothing is deleted within LOG: what lies between was trimmed.
	if len(f.filters) == 0 && f.log.stream == StreamLog && seq != f.last+1 {
		f.err = fmt.Errorf("follow after %d: the log begins at %d by now: %w", f.last, seq, events.ErrGone)
		f.mu.Unlock()
		signal(f.filled)
		return
	}
	f.last = seq
	if f.end == 0 || seq <= f.end {
		e, err := decode(m.Subject(), m.Headers(), m.Data(), seq, meta.Timestamp)
		if err != nil {
			f.err = err
		} else {
			f.compact.compact(e)
			f.buffer = append(f.buffer, e)
		}
	}
	if f.end > 0 && (seq >= f.end || meta.NumPending == 0) {
		f.finished = true
	}
	full := len(f.buffer) >= maxBuffered
	f.mu.Unlock()
	signal(f.filled)
	for full {
		select {
		case <-ctx.Done():
			return
		case <-f.drained:
		}
		f.mu.Lock()
		full = len(f.buffer) >= maxBuffered
		f.mu.Unlock()
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// fail records what the consumer can't recover from by itself.
func (f *follower) fail(err error) {
	switch {
	case errors.Is(err, jetstream.ErrNoHeartbeat), errors.Is(err, jetstream.ErrConsumerDeleted), errors.Is(err, jetstream.ErrConsumerNotFound),
		errors.Is(err, jetstream.ErrServerShutdown), errors.Is(err, jetstream.ErrConsumerLeadershipChanged):
		return // the client makes a new consumer
	case errors.Is(err, jetstream.ErrStreamNotFound), errors.Is(err, jetstream.ErrOrderedConsumerReset):
	default:
		return
	}
	f.mu.Lock()
	if f.err == nil {
		f.err = unavailable("follow "+f.log.stream, err)
	}
	f.mu.Unlock()
	signal(f.filled)
}

// next waits for events, the end or an error.
func (f *follower) next(ctx context.Context) ([]*events.Event, bool, error) {
	for {
		f.mu.Lock()
		slice, finished, err := f.buffer, f.finished, f.err
		f.buffer = nil
		f.mu.Unlock()
		if len(slice) > 0 || finished || err != nil {
			signal(f.drained)
			return slice, finished, err
		}
		select {
		case <-ctx.Done():
			return nil, false, ctx.Err()
		case <-f.log.c.ctx.Done():
			return nil, false, unavailable("follow "+f.log.stream, errors.New("the connection is closed"))
		case <-f.filled:
		}
	}
}
