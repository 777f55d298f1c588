package bus

import (
	"context"
	"fmt"

	"github.com/reckon-project/reckon/events"
)

const (
	// catchUpFrom is how many events a reader must be behind for the files of
	// the log to be quicker than a consumer.
	catchUpFrom = 256
	firstSlice  = 64      // the first slices are small, for who wants one event
	sliceBytes  = 4 << 20 // of data in one slice
)

// catchUp yields what is stored from f.from on straight from the log's files,
// where they are at hand, and moves f.from on. A consumer does the rest. It
// reports whether the caller wants more.
//
//	files ─► decode, a slice ahead ─► yield
func (f *follower) catchUp(ctx context.Context, yield func([]*events.Event, error) bool) bool {
	l := f.log
	files := l.files()
	if files == nil || len(f.filters) > 0 {
		return true
	}
	for {
		last, ok := f.end, true
		if f.end == 0 {
			last, ok = l.stored(ctx)
		}
		if !ok || last < f.from+catchUpFrom {
			return true
		}
		if err := await(ctx, l.c.durability, l.stream, last); err != nil {
			yield(nil, unavailable("follow "+l.stream, err))
			return false
		}
		before := f.from
		if !f.readBlocks(ctx, files, last, yield) {
			return false
		}
		if f.from == before {
			return true
		}
	}
}

type decoded struct {
	slice []*events.Event
	err   error
}

// readBlocks yields what the files give from f.from to last.
func (f *follower) readBlocks(ctx context.Context, files Files, last uint64, yield func([]*events.Event, error) bool) bool {
	ctx, cancel := context.WithCancel(ctx)
	slices := make(chan decoded)
	f.log.c.task(func() {
		defer close(slices)
		decodeBlocks(ctx, files, f.log.stream, f.from, last, slices)
	})
	defer func() {
		cancel()
		for range slices { // until the reader has ended
		}
	}()
	for d := range slices {
		if d.err != nil {
			yield(nil, d.err)
			return false
		}
		if !yield(d.slice, nil) {
			return false
		}
		f.from = d.slice[len(d.slice)-1].Sequence + 1
	}
	if err := ctx.Err(); err != nil {
		yield(nil, err)
		return false
	}
	return true
}

func decodeBlocks(ctx context.Context, files Files, stream string, from, last uint64, to chan<- decoded) {
	var decoder storedDecoder
	var slice []*events.Event
	size, room := 0, firstSlice
	send := func(d decoded) bool {
		select {
		case to <- d:
			return true
		case <-ctx.Done():
			return false
		}
	}
	ended := false
	files.ReadBlocks(ctx, stream, from, last, func(s Stored) bool {
		e, err := decoder.decode(s)
		if err != nil {
			if len(slice) == 0 || send(decoded{slice: slice}) {
				send(decoded{err: fmt.Errorf("read sequence %d from %s: %w", s.Sequence, stream, err)})
			}
			ended = true
			return false
		}
		if slice == nil {
			slice = make([]*events.Event, 0, room)
		}
		slice, size = append(slice, e), size+len(e.Data)
		if len(slice) < room && size < sliceBytes {
			return true
		}
		ended = !send(decoded{slice: slice})
		slice, size, room = nil, 0, min(2*room, maxSlice)
		return !ended
	})
	if !ended && len(slice) > 0 {
		send(decoded{slice: slice})
	}
}
