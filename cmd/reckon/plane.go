package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/archive"
	"github.com/reckon-project/reckon/bus/server"
	"github.com/reckon-project/reckon/gateway"
	"github.com/reckon-project/reckon/projections"
	"github.com/reckon-project/reckon/projections/sealed"
	"github.com/reckon-project/reckon/scheduler"
	"golang.org/x/sync/errgroup"
	"k8s.io/apiserver/pkg/authentication/user"
)

// plane is a control plane in this process. Its parts know one another by the
// bus only; what runs when, and what ends when, is here.
type plane struct {
	options  planeOptions
	member   *membership   // nil: this server is alone
	keep     time.Duration // history; 0: all
	say      *progress
	holder   string
	server   *server.Server
	bus      bus.Bus
	archive  *archive.Log // its log, with the archived part
	log      *projections.Projection
	volatile *projections.Projection
	keys     *sealed.Keyring
	keyStore keyStore
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
	if o.scheduling, err = schedulerConfig(o.scheduler); err != nil {
		return err
	}
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	member, err := o.membership(ctx)
	if err != nil {
		return err
	}
	if member != nil {
		if err := o.applyMembership(member); err != nil {
			return err
		}
		host = member.Name
	}
	if err := o.checkFork(); err != nil {
		return err
	}
	if err := o.checkPorts(); err != nil {
		return err
	}
	p := &plane{options: o, member: member, keep: keep, say: say, holder: fmt.Sprintf("%s/%d", host, os.Getpid())}
	if o.pprof != "" {
		stop, err := serveProfiler(o.pprof)
		if err != nil {
			return err
		}
		defer stop()
	}
	if err := p.openBus(ctx); err != nil {
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

// fold restores the newest checkpoint and folds the rest of the log.
func (p *plane) fold(ctx, folding context.Context, group *errgroup.Group) error {
	begun := time.Now()
	signer, err := p.options.folder.signingKey()
	if err != nil {
		return err
	}
	p.log = projections.New(p.bus.Log(), projections.Signer(signer), projections.WithCheckpoints(projections.Checkpoints{Blobs: p.bus.Blobs(), Every: p.options.checkpointEvery()}))
	p.volatile = projections.New(p.bus.Volatile(), projections.Volatile())
	if err := p.log.Restore(ctx, p.bus.Blobs()); err != nil {
		return fmt.Errorf("restore the newest checkpoint: %w", err)
	}
	from := p.log.Snapshot().Position()
	for _, each := range []*projections.Projection{p.log, p.volatile} {
		group.Go(func() error { return each.Run(folding) })
	}
	_, last, err := p.archive.Stream().Range(ctx)
	if err != nil {
		return err
	}
	if err := p.log.WaitFor(ctx, last); err != nil {
		return err
	}
	if err := p.log.ServeLive(folding, p.bus); err != nil {
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
		Servers: p.servers(), ExtraSANs: p.options.extraSANs, Flags: p.options.apiFlags, Sealer: p.sealer(),
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
		<-gatewayDone //nolint:errcheck // said below if it ended by itself
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

// servers is how many servers the cluster has.
func (p *plane) servers() int {
	if p.member == nil {
		return 1
	}
	return len(p.member.Peers)
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
		return scheduler.New(scheduler.Options{
			Bus: p.bus, Projection: p.log, Holder: p.holder, Config: p.options.scheduling,
			API: p.gateway.Transport(&user.DefaultInfo{Name: user.KubeScheduler, Groups: []string{user.AllAuthenticated}}),
		}).Run(ctx)
	})
	group.Go(func() error { return p.runControllers(ctx) })
	group.Go(func() error { return p.keepHistory(ctx, p.keep) })
	group.Go(func() error { return p.forgetKeys(ctx) })
	p.say.say("control   scheduler and controllers are up")
	collectLessWhenBusy()
	if p.options.hollow {
		return p.standIn(ctx, group)
	}
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
