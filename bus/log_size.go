package bus

import (
	"context"
)

// Size is how much a log holds.
type Size struct {
	Bytes    uint64 // on disk
	Subjects uint64 // different ones; each costs some 300 bytes of the server's memory
}

// Sized is a Log that knows its size.
type Sized interface {
	Size(ctx context.Context) (Size, error)
}

func (l *natsLog) Size(ctx context.Context) (Size, error) {
	gctx, done := l.c.guardAPI(ctx, l.stream)
	defer done()
	s, err := l.c.js.Stream(gctx, l.stream)
	if err != nil {
		return Size{}, unavailable("size of "+l.stream, cause(gctx, err))
	}
	state := s.CachedInfo().State
	return Size{Bytes: state.Bytes, Subjects: state.NumSubjects}, nil
}
