package bus

import (
	"context"
	"time"
)

// Durability is who makes stored events durable. The server that embeds NATS
// gives its connections one that groups syncs; Delegated is for servers that
// sync before they acknowledge.
type Durability interface {
	// Await calls done when everything in stream up to sequence is durable,
	// from any goroutine, at once if it is already.
	Await(stream string, sequence uint64, done func(error))
	// SyncAll makes everything stored so far durable, blobs too.
	SyncAll(ctx context.Context) error
}

// Local is the durability of the only server there is, in the same process: what
// it knows needs no question over NATS. All of it may be declined.
type Local interface {
	Durability
	// Range gives the first sequence kept and the last stored, as of now; last
	// need not be durable. An empty stream has first = last+1.
	Range(stream string) (first, last uint64, ok bool)
	Files
	// Full says why nothing can be stored for now, nil if it can.
	Full() error
}

// Files reads the streams of a server on this machine.
type Files interface {
	// ReadBlocks yields the messages from sequence from to last, without a gap,
	// straight from the stream's files, and ends early where it can't go on.
	ReadBlocks(ctx context.Context, stream string, from, last uint64, yield func(Stored) bool)
}

// Stored is a message as it is stored. Its bytes are the caller's until it
// asks for the next one.
type Stored struct {
	Sequence              uint64
	Time                  time.Time
	Subject, Header, Data []byte
}

// Delegated is the durability of a replicated or external bus: its servers sync
// before they acknowledge.
type Delegated struct{}

func (Delegated) Await(_ string, _ uint64, done func(error)) { done(nil) }
func (Delegated) SyncAll(context.Context) error              { return nil }

func await(ctx context.Context, d Durability, stream string, sequence uint64) error {
	done := make(chan error, 1)
	d.Await(stream, sequence, func(err error) { done <- err })
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
