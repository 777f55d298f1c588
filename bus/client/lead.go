package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
)

// Lead waits until this process leads the identity's controllers: component is
// the identity. The gateway holds the lease as long as the tunnel to it is open.
// A gateway that stops ends the leadership; call Lead again.
func (c *Client) Lead(ctx context.Context, component, holder string) (bus.Leadership, error) {
	if component != c.identity {
		return bus.Leadership{}, fmt.Errorf("lead %s: %w: %s leads %s", component, events.ErrInvalid, c.identity, c.identity)
	}
	dctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	conn, err := c.Dial(dctx, Subject(c.identity, "lead"))
	cancel()
	if err != nil {
		return bus.Leadership{}, fmt.Errorf("lead %s: %w", component, err)
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	in := json.NewDecoder(conn)
	elected, err := ask(conn, in, holder)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		conn.Close()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return bus.Leadership{}, fmt.Errorf("lead %s: %w", component, err)
	}
	lctx, end := context.WithCancel(ctx)
	detach := context.AfterFunc(lctx, func() { conn.Close() })
	var watched sync.WaitGroup
	watched.Go(func() {
		defer end()
		var more json.RawMessage
		in.Decode(&more) //nolint:errcheck // nothing comes: its end is what counts
	})
	release := sync.OnceFunc(func() {
		end()
		detach()
		conn.Close()
		watched.Wait()
	})
	return bus.Leadership{Component: component, Epoch: elected.Epoch, Context: lctx, Release: release}, nil
}

func ask(conn net.Conn, in *json.Decoder, holder string) (e Elected, err error) {
	if err := json.NewEncoder(conn).Encode(LeadRequest{Holder: strings.ToValidUTF8(holder, "?")}); err != nil {
		return e, fmt.Errorf("%w: %w", events.ErrUnavailable, err)
	}
	if err := in.Decode(&e); err != nil {
		return e, fmt.Errorf("%w: %w", events.ErrUnavailable, err)
	}
	if e.Error != nil {
		return e, e.Error
	}
	return e, nil
}
