package bus

import "context"

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
