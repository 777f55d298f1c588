package bus

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/reckon-project/reckon/events"
)

// Credentials are what a program shows to a bus of another process.
type Credentials struct {
	Identity string // who one claims to be: "node:n1", "user:admin", "component:gateway"
	Password string // what proves it: a password or token
	TLS      *tls.Config
	// Files are those of the server, for a program of root beside it: long reads then
	// cost it nothing. They are used only if it is the log's only server. nil: none.
	Files Files
}

// DurableSubject is where the server that embeds NATS makes things durable on
// request: the data is a [DurableRequest]. Nobody answers there on an external
// bus, whose servers sync before they acknowledge.
const DurableSubject = "bus.durable"

// DurableRequest asks for a stream to be durable up to a sequence; an empty
// stream asks for all.
type DurableRequest struct {
	Stream   string `json:"stream,omitempty"`
	Sequence uint64 `json:"sequence,omitempty"`
}

// Connect opens a bus over the network.
func Connect(ctx context.Context, url string, who Credentials) (Bus, error) {
	dial := func(options ...nats.Option) (*nats.Conn, error) {
		options = append(options, nats.UserInfo(who.Identity, who.Password))
		if who.TLS != nil {
			options = append(options, nats.Secure(who.TLS))
		}
		return nats.Connect(url, options...)
	}
	d := &remoteDurability{files: who.Files}
	b, err := Attach(ctx, who.Identity, dial, d)
	if err != nil {
		return nil, err
	}
	d.c = b.(*connection)
	if d.c.apiOnly() {
		return b, nil // it stores nothing that it would have to make durable
	}
	m, err := b.Request(ctx, DurableSubject, nil, []byte(`{"stream":"`+StreamLog+`"}`))
	switch {
	case err == nil:
		d.asks = string(m.Data) != "delegated"
	case errors.Is(err, events.ErrUnavailable): // an external bus
	default:
		b.Close() //nolint:errcheck // the first error counts
		return nil, fmt.Errorf("connect to the bus at %s: %w", url, err)
	}
	return b, nil
}

// remoteDurability asks the server that embeds NATS.
type remoteDurability struct {
	c     *connection
	asks  bool // false: the servers sync before they acknowledge
	files Files
}

func (d *remoteDurability) Await(stream string, sequence uint64, done func(error)) {
	if !d.asks || sequence == 0 {
		done(nil)
		return
	}
	d.c.task(func() { done(d.ask(d.c.ctx, DurableRequest{stream, sequence})) })
}

func (d *remoteDurability) SyncAll(ctx context.Context) error {
	if !d.asks {
		return nil
	}
	return d.ask(ctx, DurableRequest{})
}

// ask tries again until the server answers: what was stored is stored.
func (d *remoteDurability) ask(ctx context.Context, r DurableRequest) error {
	body, err := json.Marshal(r)
	if err != nil {
		return err
	}
	for {
		rctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		_, err := d.c.Request(rctx, DurableSubject, nil, body)
		cancel()
		if err == nil || ctx.Err() != nil || errors.Is(err, events.ErrInvalid) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("make %s durable up to %s: %w", r.Stream, strconv.FormatUint(r.Sequence, 10), err)
		case <-time.After(250 * time.Millisecond):
		}
	}
}
