package bus

import (
	"context"
	"io"
	"iter"
	"net"
	"time"

	"github.com/reckon-project/reckon/events"
)

// Bus is one component's connection: what it may do on it is decided by the
// identity it connected with.
type Bus interface {
	Log() Log      // stream LOG: decisions and facts
	Volatile() Log // stream VOLATILE: Leases and Events of outside programs
	Feed() Feed
	Blobs() Blobs

	// Publish, Subscribe: core NATS, at most once (heartbeats). Subscribe calls f
	// in order until ctx is done; it returns once the subscription is in place.
	Publish(subject string, data []byte) error
	Subscribe(ctx context.Context, subject string, f func(Message)) error
	// Request asks and waits for one answer; no responder is ErrUnavailable at once.
	Request(ctx context.Context, subject string, header events.Header, data []byte) (Message, error)
	// Serve answers requests on subject until ctx is done; f runs in its own
	// goroutine per request.
	Serve(ctx context.Context, subject string, f func(context.Context, Message) (Message, error)) error

	// Listen accepts byte tunnels on a subject (which may hold wildcards), Dial
	// opens one. A tunnel is flow-controlled and carries any stream protocol. The
	// connection's LocalAddr().String() on the accepting side is the concrete
	// subject dialled: that is what NATS permissions guarantee about the caller.
	Listen(ctx context.Context, subject string) (net.Listener, error)
	Dial(ctx context.Context, subject string) (net.Conn, error)

	// Lead waits until this process leads component, appends the leadership
	// event to LOG and returns. The leadership's context ends when it is lost.
	// A lease outlives a JetStream leader change (ttl of 10 s or more).
	Lead(ctx context.Context, component, holder string) (Leadership, error)

	Close() error
}

// Message is one core NATS message.
type Message struct {
	Subject string
	Header  events.Header
	Data    []byte
}

// Entry is one append.
type Entry struct {
	Event *events.Event
	// Expect is the sequence that the last event on exactly the event's subject
	// must have (0: there is none). nil: no expectation.
	Expect *uint64
	// TTL lets the event expire (VOLATILE only). Expiry is seen as an event of
	// type deleted with the actor "expiry".
	TTL time.Duration
}

// Expect makes an Entry's expectation.
func Expect(sequence uint64) *uint64 { return &sequence }

// Log is one stream of events.
type Log interface {
	// Append stores one event durably and returns its sequence. Errors: of class
	// events.ErrConflict (the expectation failed; nothing is stored), ErrInvalid
	// (subject or size), ErrUnavailable (not stored, or the outcome could not be
	// learnt before ctx ended: the error text says which).
	Append(ctx context.Context, e Entry) (uint64, error)
	// Start hands an append to the group commit and returns at once. Appends
	// started by one goroutine are stored in that order.
	Start(e Entry) *Pending
	// AppendBatch stores all or nothing, with consecutive sequences. It is for
	// meaning, not speed: at most 1,000 entries, one expectation per subject.
	AppendBatch(ctx context.Context, batch []Entry) ([]uint64, error)

	// Read yields the events from sequence from (0 or 1: the first kept) up to
	// the durable end at the time of the call. Filters are NATS subject filters;
	// none means all.
	Read(ctx context.Context, from uint64, filters ...string) iter.Seq2[*events.Event, error]
	// Follow is Read that goes on for ever, in slices of what was available
	// together (bounded; never empty). It ends with ctx's error. When from is
	// below the first sequence kept it yields an error of class events.ErrGone.
	Follow(ctx context.Context, from uint64, filters ...string) iter.Seq2[[]*events.Event, error]
	// Range gives the first sequence kept and the last durable one, as of now,
	// learnt from the stream's leader. An empty log has first = last+1.
	Range(ctx context.Context) (first, last uint64, err error)
	// Get gives the event at sequence. Errors: of class events.ErrNotFound
	// (beyond the durable end, or deleted) and ErrGone (below the first kept).
	Get(ctx context.Context, sequence uint64) (*events.Event, error)
	// Last gives the newest event on exactly subject; ErrNotFound if there is none.
	Last(ctx context.Context, subject string) (*events.Event, error)
	// Trim removes the events below before. Only the checkpointer may call it.
	Trim(ctx context.Context, before uint64) error
}

// Pending is an append under way.
type Pending struct {
	done     chan struct{}
	sequence uint64
	err      error
}

// NewPending makes a Pending and the function that completes it (once).
func NewPending() (*Pending, func(uint64, error)) {
	p := &Pending{done: make(chan struct{})}
	return p, func(seq uint64, err error) {
		p.sequence, p.err = seq, err
		close(p.done)
	}
}

// Done is closed when the outcome is known.
func (p *Pending) Done() <-chan struct{} { return p.done }

// Wait returns the append's outcome as Log.Append does.
func (p *Pending) Wait(ctx context.Context) (uint64, error) {
	select {
	case <-p.done:
		return p.sequence, p.err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// Feed holds the last value of each of its subjects (feed.<node>....), in
// memory only: the control plane rebuilds it from its projection.
type Feed interface {
	// Put sets a subject's value. data nil is a tombstone: watchers see it, and
	// it is kept for some minutes.
	Put(ctx context.Context, subject string, header events.Header, data []byte) error
	// Watch yields the present values and tombstones of the subjects that match
	// filters, in the order of their last changes, then every change. It reconnects by itself and may yield a value
	// again after that.
	Watch(ctx context.Context, filters ...string) iter.Seq2[FeedItem, error]
}

// FeedItem is one value of the feed; Data nil is a tombstone.
type FeedItem struct {
	Subject string
	Header  events.Header
	Data    []byte
}

// Blobs stores named byte streams outside the log (checkpoints). Names are
// slash-separated ("checkpoint/0000001234").
type Blobs interface {
	Put(ctx context.Context, name string, r io.Reader) error
	// Get fails with ErrNotFound when there is no such blob.
	Get(ctx context.Context, name string) (io.ReadCloser, error)
	List(ctx context.Context, prefix string) ([]string, error) // sorted
	Delete(ctx context.Context, name string) error
}

// Leadership is a component's lease while it is held.
type Leadership struct {
	Component string
	Epoch     uint64          // sequence of the elected event: goes into every append
	Context   context.Context // ends when the lease is lost or released
	Release   func()
}
