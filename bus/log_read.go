package bus

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/reckon-project/reckon/events"
)

func (l *natsLog) Last(ctx context.Context, subject string) (*events.Event, error) {
	m, err := l.get(ctx, MessageQuery{LastBySubject: subject})
	if err != nil {
		return nil, fmt.Errorf("last event on %s: %w", subject, err)
	}
	if err := await(ctx, l.c.durability, l.stream, m.Sequence); err != nil {
		return nil, unavailable("last event on "+subject, err)
	}
	return decode(m.Subject, m.Header, m.Data, m.Sequence, m.Time)
}

func (l *natsLog) Get(ctx context.Context, sequence uint64) (*events.Event, error) {
	doing := fmt.Sprintf("get event %d of %s", sequence, l.stream)
	m, err := l.get(ctx, MessageQuery{Sequence: max(sequence, 1)})
	if errors.Is(err, events.ErrNotFound) || sequence == 0 {
		first, last, err := l.Range(ctx)
		switch {
		case err != nil:
			return nil, fmt.Errorf("%s: %w", doing, err)
		case sequence < first:
			return nil, fmt.Errorf("%s: %w: the log begins at %d", doing, events.ErrGone, first)
		}
		return nil, fmt.Errorf("%s: %w: the log ends at %d", doing, events.ErrNotFound, last)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	if err := await(ctx, l.c.durability, l.stream, m.Sequence); err != nil {
		return nil, unavailable(doing, err)
	}
	return decode(m.Subject, m.Header, m.Data, m.Sequence, m.Time)
}

func (l *natsLog) Range(ctx context.Context) (first, last uint64, err error) {
	if err := ctx.Err(); err != nil {
		return 0, 0, err
	}
	known := false
	if local := l.local(); local != nil {
		first, last, known = local.Range(l.stream)
	}
	if !known {
		if first, last, err = l.askRange(ctx); err != nil {
			return 0, 0, unavailable("range of "+l.stream, err)
		}
	}
	if err := await(ctx, l.c.durability, l.stream, last); err != nil {
		return 0, 0, unavailable("range of "+l.stream, err)
	}
	return first, last, nil
}

func (l *natsLog) askRange(ctx context.Context) (first, last uint64, err error) {
	gctx, done := l.c.guardAPI(ctx, l.stream)
	defer done()
	s, err := l.c.js.Stream(gctx, l.stream)
	if err != nil {
		return 0, 0, cause(gctx, err)
	}
	state := s.CachedInfo().State
	if state.Msgs == 0 {
		return state.LastSeq + 1, state.LastSeq, nil
	}
	return state.FirstSeq, state.LastSeq, nil
}

// local is the server in this process, if it is the only one and this identity
// may read everything.
func (l *natsLog) local() Local {
	if l.c.restricted() {
		return nil
	}
	local, _ := l.c.durability.(Local)
	return local
}

// files are those of the log's only server, if this identity may read everything.
func (l *natsLog) files() Files {
	if local := l.local(); local != nil {
		return local
	}
	if remote, ok := l.c.durability.(*remoteDurability); ok && remote.asks && !l.c.restricted() {
		return remote.files
	}
	return nil
}

// stored is the last sequence stored, as of now.
func (l *natsLog) stored(ctx context.Context) (last uint64, ok bool) {
	if local := l.local(); local != nil {
		_, last, ok = local.Range(l.stream)
		return last, ok
	}
	_, last, err := l.askRange(ctx)
	return last, err == nil
}

func (l *natsLog) Trim(ctx context.Context, before uint64) error {
	gctx, done := l.c.guardAPI(ctx, l.stream)
	defer done()
	s, err := l.c.js.Stream(gctx, l.stream)
	if err == nil && before > 0 {
		err = s.Purge(gctx, jetstream.WithPurgeSequence(min(before, s.CachedInfo().State.LastSeq+1)))
	}
	if err != nil {
		return unavailable("trim "+l.stream, cause(gctx, err))
	}
	return nil
}

// Read is a Follow that ends at the durable end as of the call.
func (l *natsLog) Read(ctx context.Context, from uint64, filters ...string) iter.Seq2[*events.Event, error] {
	return func(yield func(*events.Event, error) bool) {
		first, last, err := l.Range(ctx)
		if err != nil {
			yield(nil, err)
			return
		}
		from = max(from, first)
		if from > last {
			return
		}
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		if len(filters) < 2 {
			l.readUpTo(ctx, from, last, filters)(yield)
			return
		}
		// JetStream looks for each next message of several filters among all subjects
		// there are; one reader a filter is cheaper by far in a long log.
		parts := make([]iter.Seq2[*events.Event, error], 0, len(filters))
		for _, filter := range filters {
			parts = append(parts, l.readUpTo(ctx, from, last, []string{filter}))
		}
		merge(parts)(yield)
	}
}

func (l *natsLog) readUpTo(ctx context.Context, from, last uint64, filters []string) iter.Seq2[*events.Event, error] {
	return func(yield func(*events.Event, error) bool) {
		f := &follower{log: l, from: from, end: last, filters: filters}
		for slice, err := range f.run(ctx) {
			if err != nil {
				yield(nil, err)
				return
			}
			for _, e := range slice {
				if !yield(e, nil) {
					return
				}
			}
		}
	}
}

func (l *natsLog) Follow(ctx context.Context, from uint64, filters ...string) iter.Seq2[[]*events.Event, error] {
	return func(yield func([]*events.Event, error) bool) {
		first, _, err := l.Range(ctx)
		if err != nil {
			yield(nil, err)
			return
		}
		if from > 1 && from < first {
			yield(nil, fmt.Errorf("follow from %d: the log begins at %d: %w", from, first, events.ErrGone))
			return
		}
		f := &follower{log: l, from: max(from, first), filters: filters}
		f.run(ctx)(yield)
	}
}
