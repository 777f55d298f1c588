package proxy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"sync"
	"time"

	"github.com/reckon-project/reckon/events"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
)

// Options say which node's proxy it is.
type Options struct {
	Node        string       // its name: for endpoints that are local
	Dir         string       // its data folder: names the chains
	ClusterCIDR netip.Prefix // all nodes' pods: what comes to a cluster IP from elsewhere is masqueraded. Zero: nothing is
	ServiceCIDR netip.Prefix // cluster IPs: the node gets a route that covers them. Zero: none
	Bridge      string       // the interface of that route (network.Network.Bridge)

	Interval time.Duration // at least so long between two changes of rules; 0: 50 ms
	Clock    clock.Clock   // nil: the real one
	Log      *slog.Logger  // nil: the default one
}

// Proxy holds the newest services and slices, and brings the rules to them.
type Proxy struct {
	options Options
	names   names
	changed chan struct{} // holds a token while there is something to do

	mu       sync.Mutex
	services map[types.NamespacedName]*corev1.Service
	slices   map[types.NamespacedName]map[string]*discoveryv1.EndpointSlice // by service, then slice name
	sliceOf  map[types.NamespacedName]types.NamespacedName                  // slice → service
	dirty    map[types.NamespacedName]struct{}                              // services to render
	complete bool

	applied applied // Run's own
}

// New makes a proxy. Run starts it.
func New(o Options) (*Proxy, error) {
	if o.Dir == "" {
		return nil, fmt.Errorf("%w: the proxy needs the node's data folder", events.ErrInvalid)
	}
	if o.ServiceCIDR.IsValid() && o.Bridge == "" {
		return nil, fmt.Errorf("%w: a route for %s needs an interface", events.ErrInvalid, o.ServiceCIDR)
	}
	if o.Interval == 0 {
		o.Interval = 50 * time.Millisecond
	}
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	dir := o.Dir
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	sum := sha256.Sum256([]byte(dir))
	return &Proxy{
		options: o, names: names{hex.EncodeToString(sum[:4])}, changed: make(chan struct{}, 1),
		services: map[types.NamespacedName]*corev1.Service{},
		slices:   map[types.NamespacedName]map[string]*discoveryv1.EndpointSlice{},
		sliceOf:  map[types.NamespacedName]types.NamespacedName{},
		dirty:    map[types.NamespacedName]struct{}{},
		applied:  applied{rules: map[types.NamespacedName]*ruleset{}},
	}, nil
}

// SetService takes in a service's newest version, nil when it is gone. The
// object must not change afterwards.
func (p *Proxy) SetService(namespace, name string, s *corev1.Service) {
	k := types.NamespacedName{Namespace: namespace, Name: name}
	p.mu.Lock()
	defer p.mu.Unlock()
	if s == nil {
		delete(p.services, k)
	} else {
		p.services[k] = s
	}
	p.touch(k)
}

// SetSlice takes in an endpoint slice's newest version, nil when it is gone.
func (p *Proxy) SetSlice(namespace, name string, s *discoveryv1.EndpointSlice) {
	k := types.NamespacedName{Namespace: namespace, Name: name}
	p.mu.Lock()
	defer p.mu.Unlock()
	if service, ok := p.sliceOf[k]; ok {
		delete(p.slices[service], name)
		if len(p.slices[service]) == 0 {
			delete(p.slices, service)
		}
		delete(p.sliceOf, k)
		p.touch(service)
	}
	if s == nil || s.Labels[discoveryv1.LabelServiceName] == "" || s.AddressType != discoveryv1.AddressTypeIPv4 {
		return
	}
	service := types.NamespacedName{Namespace: namespace, Name: s.Labels[discoveryv1.LabelServiceName]}
	if p.slices[service] == nil {
		p.slices[service] = map[string]*discoveryv1.EndpointSlice{}
	}
	p.slices[service][name] = s
	p.sliceOf[k] = service
	p.touch(service)
}

// Complete says that all services are known now: rules of an earlier start that
// belong to none of them may go.
func (p *Proxy) Complete() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.complete = true
	p.signal()
}

func (p *Proxy) touch(service types.NamespacedName) {
	p.dirty[service] = struct{}{}
	p.signal()
}

func (p *Proxy) signal() {
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

// completeWithin is how long rules of an earlier start wait for Complete.
const completeWithin = 30 * time.Second

// checkEvery is how often the rules are looked for, should somebody have
// flushed iptables.
const checkEvery = time.Minute

// retryAfter is the pause after iptables failed.
const retryAfter = time.Second

// Run brings the rules to what it is told until ctx ends; the rules stay. It
// fails at once where iptables can't be used at all.
func (p *Proxy) Run(ctx context.Context) error {
	left, err := p.prepare(ctx)
	if err != nil {
		return fmt.Errorf("proxy: %w", err)
	}
	c := p.options.Clock
	if left {
		p.waitComplete(ctx)
	}
	check := c.NewTimer(checkEvery)
	defer check.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.changed:
		case <-check.C():
			p.check(ctx)
			check.Reset(checkEvery)
			continue
		}
		pause := p.options.Interval
		if err := p.sync(ctx); err != nil && ctx.Err() == nil {
			p.options.Log.Error("services are not up to date on this node", "error", err)
			pause = retryAfter
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-c.After(pause):
		}
	}
}

// waitComplete waits until Complete was called and nothing came for a moment.
func (p *Proxy) waitComplete(ctx context.Context) {
	give := p.options.Clock.NewTimer(completeWithin)
	defer give.Stop()
	for {
		p.mu.Lock()
		complete := p.complete
		p.mu.Unlock()
		var quiet <-chan time.Time
		if complete {
			quiet = p.options.Clock.After(p.options.Interval)
		}
		select {
		case <-p.changed:
			continue
		case <-quiet:
		case <-give.C():
		case <-ctx.Done():
		}
		p.signal()
		return
	}
}
