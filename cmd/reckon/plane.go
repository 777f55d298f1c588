package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	_ "net/http/pprof" // served on --pprof only
	"os"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/archive"
	"github.com/reckon-project/reckon/bus/server"
	"github.com/reckon-project/reckon/gateway"
	"github.com/reckon-project/reckon/gateway/store"
	"github.com/reckon-project/reckon/projections"
	"github.com/reckon-project/reckon/projections/sealed"
	"github.com/reckon-project/reckon/scheduler"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
)

// plane is a control plane in this process. Its parts know one another by the
// bus only; what runs when, and what ends when, is here.
type plane struct {
	options  planeOptions
	keep     time.Duration // history; 0: all
	say      *progress
	holder   string
	server   *server.Server
	bus      bus.Bus
	archive  *archive.Log // its log, with the archived part
	log      *projections.Projection
	volatile *projections.Projection
	keys     *sealed.Keyring
	keyStore *sealed.FileStore
	gateway  *gateway.Server
}

// runPlane runs a control plane, and a node beside it if asked for, until ctx
// ends. The parts end in the reverse order of their start.
func runPlane(ctx context.Context, o planeOptions, withNode bool, say *progress) error {
	if err := setLogging(o.logLevel); err != nil {
		return err
	}
	keep, err := parseHistory(o.history)
	if err != nil {
		return err
	}
	if err := o.checkPorts(); err != nil {
		return err
	}
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	p := &plane{options: o, keep: keep, say: say, holder: fmt.Sprintf("%s/%d", host, os.Getpid())}
	if o.pprof != "" {
		go func() { slog.Warn("profiler", "error", http.ListenAndServe(o.pprof, nil)) }()
	}
	if err := p.openBus(); err != nil {
		return err
	}
	defer p.server.Shutdown()
	defer p.bus.Close()
	if err := p.openKeys(); err != nil {
		return err
	}

	// Projections outlive everybody who reads them.
	folding, stopFolding := context.WithCancel(context.WithoutCancel(ctx))
	folds, folding := errgroup.WithContext(folding)
	defer func() {
		stopFolding()
		if err := folds.Wait(); err != nil && !errors.Is(err, context.Canceled) {
			slog.Error("folding", "error", err)
		}
	}()
	if err := p.fold(ctx, folding, folds); err != nil {
		return err
	}
	return p.serve(ctx, folding, withNode)
}

// openBus starts the embedded NATS server and connects to it.
func (p *plane) openBus() error {
	access, err := p.options.folder.access(p.options.natsListen)
	if err != nil {
		return err
	}
	p.server, err = server.Start(server.Options{
		Dir: string(p.options.folder), Name: "reckon", Listen: p.options.natsListen,
		Durability: p.options.durability, Authenticate: access.authenticate,
	})
	if err != nil {
		return fmt.Errorf("start the bus: %w", err)
	}
	if err := p.connect(); err != nil {
		p.server.Shutdown()
		return err
	}
	return nil
}

func (p *plane) openKeys() error {
	key, err := sealed.ClusterKey(p.options.folder.path("cluster.key"))
	if err != nil {
		return fmt.Errorf("open the cluster key: %w", err)
	}
	if p.keyStore, err = sealed.NewFileStore(p.options.folder.keys()); err != nil {
		return fmt.Errorf("open the keys of secrets: %w", err)
	}
	p.keys, err = sealed.NewKeyring(key, p.keyStore)
	return err
}

// sweepKeys destroys the keys of secrets that a crash left behind.
func (p *plane) sweepKeys() error {
	s := p.log.Snapshot()
	_, err := p.keys.Sweep(p.keyStore, func(uid string) bool { return s.ByUID(uid).Exists() })
	return err
}

// fold restores the newest checkpoint and folds the rest of the log.
func (p *plane) fold(ctx, folding context.Context, group *errgroup.Group) error {
	begun := time.Now()
	p.log = projections.New(p.bus.Log(), projections.WithCheckpoints(projections.Checkpoints{Blobs: p.bus.Blobs()}))
	p.volatile = projections.New(p.bus.Volatile(), projections.Volatile())
	if err := p.log.Restore(ctx, p.bus.Blobs()); err != nil {
		return fmt.Errorf("restore the newest checkpoint: %w", err)
	}
	from := p.log.Snapshot().Position()
	for _, each := range []*projections.Projection{p.log, p.volatile} {
		group.Go(func() error { return each.Run(folding) })
	}
	_, last, err := p.bus.Log().Range(ctx)
	if err != nil {
		return err
	}
	if err := p.log.WaitFor(ctx, last); err != nil {
		return err
	}
	if err := p.sweepKeys(); err != nil {
		return fmt.Errorf("destroy the keys of deleted secrets: %w", err)
	}
	p.say.say("log       %d events, folded from %d in %s", last, from, time.Since(begun).Round(time.Millisecond))
	return nil
}

// serve runs the gateway, then all that works through it.
func (p *plane) serve(ctx, folding context.Context, withNode bool) error {
	g, err := gateway.New(ctx, gateway.Options{
		Bus: p.bus, Log: p.log, Volatile: p.volatile, Dir: string(p.options.folder),
		Listen: p.options.listen, AdvertiseAddress: p.options.advertise,
		ServiceCIDR: p.options.serviceCIDR, NodePortRange: p.options.nodePortRange,
		ExtraSANs: p.options.extraSANs, Flags: p.options.apiFlags, Sealer: store.SealSecrets(p.keys),
	})
	if err != nil {
		return err
	}
	p.gateway = g
	// The gateway outlives its users: controllers and node end before it.
	serving, stopServing := context.WithCancel(folding)
	gatewayDone := make(chan error, 1)
	go func() { gatewayDone <- g.Run(serving) }()
	defer func() {
		stopServing()
		<-gatewayDone
	}()

	group, working := errgroup.WithContext(ctx)
	group.Go(func() error {
		select {
		case err := <-gatewayDone:
			gatewayDone <- err
			if err == nil {
				err = errors.New("it stopped")
			}
			return fmt.Errorf("gateway: %w", err)
		case <-working.Done():
			return nil
		}
	})
	group.Go(func() error { return p.work(working, group, withNode) })
	if err := group.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// work starts what needs the API, once it answers.
func (p *plane) work(ctx context.Context, group *errgroup.Group, withNode bool) error {
	select {
	case <-p.gateway.Ready():
	case <-ctx.Done():
		return ctx.Err()
	}
	p.say.say("gateway   the Kubernetes API %s on %s", kubernetesVersion, p.gateway.URL())
	group.Go(func() error { return p.gateway.ServeBus(ctx) })
	group.Go(func() error {
		return scheduler.New(scheduler.Options{Bus: p.bus, Projection: p.log, Holder: p.holder}).Run(ctx)
	})
	group.Go(func() error { return p.runControllers(ctx) })
	group.Go(func() error { return p.keepHistory(ctx, p.keep) })
	p.say.say("control   scheduler and controllers are up")
	if !withNode {
		p.say.ready()
		return nil
	}
	p.say.say("node      %s starts", p.options.nodeName)
	node := p.server
	group.Go(func() error {
		b, err := node.Connect("node:" + p.options.nodeName)
		if err != nil {
			return err
		}
		defer b.Close()
		return runNode(ctx, b, p.options)
	})
	if err := p.awaitNode(ctx); err != nil {
		return err
	}
	p.say.say("node      %s is ready", p.options.nodeName)
	p.say.ready()
	return nil
}

// awaitNode waits until this process's node reported that it is ready.
func (p *plane) awaitNode(ctx context.Context) error {
	ready := func(s *projections.Snapshot) bool {
		for n := range projections.List[*corev1.Node](s, "", "nodes", "") {
			if n.Name != p.options.nodeName {
				continue
			}
			for _, c := range n.Status.Conditions {
				if c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue && len(n.Spec.Taints) == 0 {
					return true
				}
			}
		}
		return false
	}
	s := p.log.Snapshot()
	if ready(s) {
		return nil
	}
	for _, err := range p.log.Changes(ctx, s.Position()) {
		if err != nil {
			return err
		}
		if ready(p.log.Snapshot()) {
			return nil
		}
	}
	return ctx.Err()
}
