package client

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/trust"
	"github.com/reckon-project/reckon/events"
)

// Client is the bus of one identity.
type Client struct {
	bus.Bus
	identity  string
	logger    *slog.Logger
	transport *http.Transport
	started   started
}

// Open connects to the bus with credentials.
func Open(ctx context.Context, who Credentials) (*Client, error) {
	var config *tls.Config
	if who.Authority != "" {
		var err error
		if config, err = trust.Client([]byte(who.Authority)); err != nil {
			return nil, err
		}
	}
	b, err := bus.Connect(ctx, who.URL, bus.Credentials{Identity: who.Identity, Password: who.Token, TLS: config})
	if err != nil {
		return nil, fmt.Errorf("connect to the bus at %s: %w", who.URL, err)
	}
	return New(b, who.Identity), nil
}

// New makes the client of an identity on a connection that may use its subjects.
// Close closes the connection, too.
func New(b bus.Bus, identity string) *Client {
	return &Client{
		Bus: b, identity: identity, logger: slog.Default(),
		transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return b.Dial(ctx, Subject(identity, "conn"))
			},
			// Each watch has a connection of its own; what is idle goes soon.
			MaxIdleConnsPerHost: 16, IdleConnTimeout: 30 * time.Second,
		},
	}
}

// Identity is who the client is.
func (c *Client) Identity() string { return c.identity }

// Transport reaches the Kubernetes API as the identity. Requests may name any
// host ("http://reckon/api/v1/…"); watches are streams.
func (c *Client) Transport() http.RoundTripper { return c.transport }

// Close ends what is open on the client, and returns when it has ended.
func (c *Client) Close() error {
	c.started.end()
	c.transport.CloseIdleConnections()
	return c.Bus.Close()
}

// Log is for reporting facts only; [Client.Follow] reads.
func (c *Client) Log() bus.Log { return c.Follow() }

// Volatile is not open to the identity.
func (c *Client) Volatile() bus.Log { return c.Follow() }

// Follow is the part of the log that is about resources.
func (c *Client) Follow(resources ...Resource) *Log { return &Log{c: c, resources: resources} }

// Feed is for nodes.
func (c *Client) Feed() bus.Feed { return noFeed{} }

// Blobs are the control plane's.
func (c *Client) Blobs() bus.Blobs { return noBlobs{} }

var errNotOpen = fmt.Errorf("%w: a custom controller has no access to it", events.ErrInvalid)

type noFeed struct{}

func (noFeed) Put(context.Context, string, events.Header, []byte) error { return errNotOpen }

func (noFeed) Watch(context.Context, ...string) iter.Seq2[bus.FeedItem, error] {
	return func(yield func(bus.FeedItem, error) bool) { yield(bus.FeedItem{}, errNotOpen) }
}

type noBlobs struct{}

func (noBlobs) Put(context.Context, string, io.Reader) error       { return errNotOpen }
func (noBlobs) Get(context.Context, string) (io.ReadCloser, error) { return nil, errNotOpen }
func (noBlobs) List(context.Context, string) ([]string, error)     { return nil, errNotOpen }
func (noBlobs) Delete(context.Context, string) error               { return errNotOpen }
