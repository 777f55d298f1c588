package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
)

const (
	maxPayload    = 8 << 20
	startWait     = 30 * time.Second
	handshakeWait = 10 * time.Second
	streamsWait   = 90 * time.Second
)

// Server is an embedded NATS server with the project's streams.
type Server struct {
	options    Options
	store      string // Dir/nats
	lock       *os.File
	nats       *server.Server
	secret     string        // of in-process connections
	ready      chan struct{} // closed when others may connect
	durability bus.Durability
	internal   bus.Bus
	cancel     context.CancelFunc
	reads      *nats.Conn // of the reader
	handover   *nats.Conn
	keys       *Keys // nil on a single server
	tasks      sync.WaitGroup

	mu    sync.Mutex
	conns []bus.Bus
	ended bool
}

// Start starts a server and returns when its streams are there. A cluster needs
// a majority of its servers for that.
func Start(options Options) (*Server, error) {
	ctx, cancel := context.WithTimeout(context.Background(), streamsWait)
	defer cancel()
	return StartContext(ctx, options)
}

// StartContext is Start with its own word on how long to wait for a majority.
func StartContext(ctx context.Context, options Options) (*Server, error) {
	o, err := options.complete()
	if err != nil {
		return nil, err
	}
	s := &Server{options: o, store: storeIn(o.Dir), secret: rand.Text(), ready: make(chan struct{})}
	if s.lock, err = lockDirectory(s.store); err != nil {
		return nil, err
	}
	if err := s.start(ctx); err != nil {
		s.Shutdown()
		return nil, fmt.Errorf("start the bus: %w", err)
	}
	return s, nil
}

func (s *Server) start(starting context.Context) error {
	o, err := s.natsOptions()
	if err != nil {
		return err
	}
	if s.nats, err = server.NewServer(o); err != nil {
		return err
	}
	log := &logger{log: s.options.Log, failure: s.options.OnSyncFailure}
	s.nats.SetLoggerV2(log, false, false, false)
	s.nats.Start()
	if !s.nats.ReadyForConnections(startWait) {
		return fmt.Errorf("the NATS server did not start within %s: %w: %s", startWait, events.ErrUnavailable, log.lastError())
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	if err := s.serveHandover(); err != nil {
		return err
	}
	if err := s.openStreams(starting); err != nil {
		if last := log.lastError(); last != "" {
			err = fmt.Errorf("%w (the NATS server's last error: %s)", err, last)
		}
		return err
	}
	if s.internal, err = s.Connect("component:bus"); err != nil {
		return err
	}
	if err := s.serveDurable(ctx, s.internal); err != nil {
		return err
	}
	if s.reads, err = s.dial("component:bus")(nats.Name("reads"), nats.CustomInboxPrefix("_INBOX_component:bus")); err != nil {
		return err
	}
	if err := s.serveReads(ctx, s.internal, s.reads); err != nil {
		return err
	}
	close(s.ready)
	return nil
}

func (s *Server) openStreams(ctx context.Context) error {
	nc, err := s.dial("component:bus")(nats.Name("streams"))
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	replicas := 1
	if s.options.Cluster != nil {
		replicas = min(len(s.options.Cluster.Peers), 3)
	}
	if err := bus.CreateStreams(ctx, js, replicas); err != nil {
		return err
	}
	if s.options.Cluster != nil {
		s.durability = bus.Delegated{}
		s.keys, err = s.openKeys(ctx, replicas)
		return err
	}
	d, err := s.openDurability(ctx, js)
	if err != nil {
		return err
	}
	s.durability = d
	return nil
}

func (s *Server) natsOptions() (*server.Options, error) {
	o := &server.Options{
		ServerName: s.options.Name, StoreDir: s.store, JetStream: true, NoSigs: true,
		MaxPayload: maxPayload, MaxPending: 256 << 20,
		CustomClientAuthentication: authentication{s},
		DontListen:                 true, TLSConfig: s.options.TLS,
		NoSystemAccount: false,
	}
	if o.TLSConfig != nil {
		o.TLSTimeout = handshakeWait.Seconds()
	}
	o.JetStreamLimits.MaxBatchInflightPerStream = 256
	if s.options.Durability == Fast {
		o.SyncInterval = 100 * time.Millisecond
	}
	listen := s.options.Listen
	if c := s.options.Cluster; c != nil {
		o.SyncAlways = s.options.Durability == Strict
		if listen == "" {
			listen = "127.0.0.1:0" // a server without a client port has no cluster port either
		}
		host, port, err := address(c.Listen)
		if err != nil {
			return nil, err
		}
		o.Cluster = server.ClusterOpts{Name: c.Name, Host: host, Port: port, Username: "reckon", Password: c.Secret, TLSConfig: c.TLS}
		if c.TLS != nil {
			o.Cluster.TLSTimeout = handshakeWait.Seconds()
		}
		for _, peer := range c.Peers {
			if peer == c.Listen {
				continue
			}
			o.Routes = append(o.Routes, &url.URL{Scheme: "nats", Host: peer, User: url.UserPassword("reckon", c.Secret)})
		}
	}
	if listen != "" {
		host, port, err := address(listen)
		if err != nil {
			return nil, err
		}
		o.DontListen, o.Host, o.Port = false, host, port
	}
	return o, nil
}

// address splits host:port and sees that the port is free, for a clear error.
func address(listen string) (string, int, error) {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return "", 0, fmt.Errorf("listen on %s: %w: %w", listen, events.ErrUnavailable, err)
	}
	if err := l.Close(); err != nil {
		return "", 0, err
	}
	host, text, err := net.SplitHostPort(listen)
	if err != nil {
		return "", 0, fmt.Errorf("%w: %w", events.ErrInvalid, err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return "", 0, fmt.Errorf("%w: %s is not a port number", events.ErrInvalid, text)
	}
	if port == 0 {
		port = server.RANDOM_PORT
	}
	return host, port, nil
}

// dial opens in-process connections as identity.
func (s *Server) dial(identity string) bus.Dialer {
	return func(options ...nats.Option) (*nats.Conn, error) {
		return nats.Connect("", append(options, nats.InProcessServer(s.nats), nats.UserInfo(identity, s.secret))...)
	}
}

// Connect opens a bus in process. The identity is one of Options.Authenticate's:
// "component:<name>" may do everything, "node:<name>" only what a node may. A
// name without a class is a component's.
func (s *Server) Connect(identity string) (bus.Bus, error) {
	if !strings.Contains(identity, ":") {
		identity = "component:" + identity
	}
	if _, err := permissions(identity); err != nil {
		return nil, fmt.Errorf("connect to the bus: %w", err) // NATS would let it hang
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return nil, errClosed
	}
	b, err := bus.Attach(context.Background(), identity, s.dial(identity), s.durability)
	if err != nil {
		return nil, err
	}
	s.conns = append(s.conns, b)
	return b, nil
}

// ClientURL is where clients of other processes connect; "" without Options.Listen.
func (s *Server) ClientURL() string {
	if s.options.Listen == "" && s.options.Cluster == nil {
		return ""
	}
	return s.nats.ClientURL()
}

// Shutdown closes all connections made by Connect, makes everything durable
// and ends the server. It may be called more than once.
func (s *Server) Shutdown() {
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return
	}
	s.ended = true
	conns := s.conns
	s.mu.Unlock()
	var errs []error
	if s.cancel != nil {
		s.cancel()
	}
	for _, b := range conns {
		errs = append(errs, b.Close())
	}
	s.tasks.Wait()
	for _, nc := range []*nats.Conn{s.reads, s.handover} {
		if nc != nil {
			nc.Close()
		}
	}
	if s.keys != nil {
		s.keys.nc.Close()
	}
	if s.nats != nil {
		s.nats.Shutdown()
		s.nats.WaitForShutdown()
	}
	if d, ok := s.durability.(*durability); ok {
		errs = append(errs, syncFileSystem(s.store), d.close())
	}
	errs = append(errs, s.lock.Close())
	if err := errors.Join(errs...); err != nil {
		s.options.Log.Error("shut down the bus", "error", err)
	}
}
