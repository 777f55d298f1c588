package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"time"

	apiextensionsapiserver "k8s.io/apiextensions-apiserver/pkg/apiserver"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authentication/user"
	aggregatorapiserver "k8s.io/kube-aggregator/pkg/apiserver"
	aggregatorscheme "k8s.io/kube-aggregator/pkg/apiserver/scheme"
	"k8s.io/kubernetes/pkg/api/legacyscheme"

	"golang.org/x/sync/errgroup"

	"github.com/reckon-project/reckon/gateway/metrics"
	"github.com/reckon-project/reckon/gateway/news"
	"github.com/reckon-project/reckon/gateway/nodeleases"
	"github.com/reckon-project/reckon/gateway/past"
	"github.com/reckon-project/reckon/gateway/store"
)

// Server is the Kubernetes API over the log.
type Server struct {
	options    Options
	listener   net.Listener
	url        string
	stores     *store.Factory
	news       *news.Book
	leases     *nodeleases.Heard
	past       *past.Past
	usage      *metrics.Book
	metrics    metrics.Provider
	direct     *direct
	local      *inProcess
	aggregator *aggregatorapiserver.APIAggregator
	ready      chan struct{}
	base       context.Context // of everything that New started; ended by stop
	stop       context.CancelFunc
}

// New makes the keys and certificates, the kubeconfig and the server. It
// listens on Options.Listen, but nothing is answered before Run. Whoever doesn't
// Run it must Close it. ctx bounds New alone.
func New(ctx context.Context, o Options) (*Server, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	if err := setFeatures(); err != nil {
		return nil, fmt.Errorf("gateway: set features: %w", err)
	}
	listener, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	s := &Server{options: o, listener: listener, ready: make(chan struct{})}
	s.base, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	s.local = newInProcess(s.base)
	s.local.short = newShortWay(o.Log)
	if err := s.assemble(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Server) assemble(ctx context.Context) error {
	o := &s.options
	at := s.listener.Addr().(*net.TCPAddr)
	advertised, err := o.advertised(at.IP)
	if err != nil {
		return err
	}
	names, err := servingNames(o.ServiceCIDR, at.IP, advertised, o.ExtraSANs)
	if err != nil {
		return err
	}
	keys, err := makePKI(filepath.Join(o.Dir, "pki"), names, time.Now())
	if err != nil {
		return fmt.Errorf("gateway: %w", err)
	}
	host := at.IP
	if host.IsUnspecified() {
		host = net.IPv4(127, 0, 0, 1)
	}
	s.url = "https://" + net.JoinHostPort(host.String(), fmt.Sprint(at.Port))
	if err := keys.writeKubeconfig(o.Kubeconfig(), s.url); err != nil {
		return fmt.Errorf("gateway: %w", err)
	}

	s.stores = store.NewFactory(store.FactoryOptions{
		Log: o.Bus.Log(), Projection: o.Log, Volatile: o.Bus.Volatile(), VolatileProjection: o.Volatile,
		Schemes: []*runtime.Scheme{legacyscheme.Scheme, apiextensionsapiserver.Scheme, aggregatorscheme.Scheme},
		Sealer:  o.Sealer, Source: "gateway",
	})
	s.direct = newDirect(o.Log)
	s.news = news.New(news.Options{Log: o.Log, Volatile: o.Volatile})
	s.leases = nodeleases.New(nodeleases.Options{Bus: o.Bus, Log: o.Log, Volatile: o.Volatile})
	s.newUsage()
	s.past = past.New(past.Options{Log: o.Bus.Log(), Objects: s.stores.At})
	upstream, err := o.upstream(s.base, s.listener, advertised, keys)
	if err != nil {
		return err
	}
	if s.aggregator, err = s.chain(s.base, upstream); err != nil {
		return fmt.Errorf("gateway: %w", err)
	}
	s.aggregator.GenericAPIServer.ShutdownTimeout = o.StopTimeout
	s.mountHistory()
	return nil
}

// URL is where the API is served over HTTPS.
func (s *Server) URL() string { return s.url }

// Kubeconfig is the path of the administrator's kubeconfig.
func (s *Server) Kubeconfig() string { return s.options.Kubeconfig() }

// Ready is closed once /readyz says so.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// Transport is the in-process way in, as u. Requests need a URL with any host
// ("https://localhost/api/v1/..."); they wait until the server answers.
// Response bodies are streams, so watches work; upgrades (exec) don't. The
// headers of origin.go say why something is written.
func (s *Server) Transport(u user.Info) http.RoundTripper { return s.local.transport(u) }

// Close releases what New took, for a server that isn't run.
func (s *Server) Close() error {
	s.stop()
	return s.listener.Close()
}

// Run serves until ctx ends, then finishes the requests under way, for at most
// Options.StopTimeout.
func (s *Server) Run(ctx context.Context) error {
	defer s.stop()
	g, ctx := errgroup.WithContext(ctx)
	storesCtx, stopStores := context.WithCancel(s.base)
	g.Go(func() error { return s.stores.Run(storesCtx) })
	g.Go(func() error { return s.news.Run(storesCtx) })
	g.Go(func() error { return s.leases.Run(storesCtx) })
	g.Go(func() error { return s.usage.Run(storesCtx) })
	g.Go(func() error { return s.direct.run(storesCtx) })
	g.Go(func() error {
		defer stopStores() // the stores serve until the last request is answered
		defer s.local.running.Wait()
		defer s.stop()
		if err := s.stores.Start(ctx); err != nil {
			return fmt.Errorf("gateway: %w", err)
		}
		prepared, err := s.aggregator.PrepareRun()
		if err != nil {
			return fmt.Errorf("gateway: %w", err)
		}
		s.local.serve(s.aggregator.GenericAPIServer.Handler)
		g.Go(func() error { return s.awaitReady(ctx) })
		return prepared.Run(ctx)
	})
	err := g.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// awaitReady asks /readyz until it agrees. Its checks have no event to wait for.
func (s *Server) awaitReady(ctx context.Context) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	client := http.Client{Transport: s.local.transport(loopback)}
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://localhost/readyz", nil)
		if err != nil {
			return err
		}
		if answer, err := client.Do(req); err == nil {
			_, err = io.Copy(io.Discard, answer.Body)
			answer.Body.Close()
			if err == nil && answer.StatusCode == http.StatusOK {
				close(s.ready)
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
