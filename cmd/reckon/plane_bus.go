package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/reckon-project/reckon/bus/server"
	"github.com/reckon-project/reckon/bus/trust"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
	"github.com/reckon-project/reckon/projections/sealed"
	corev1 "k8s.io/api/core/v1"
)

// openBus starts the embedded NATS server and connects to it.
func (p *plane) openBus(ctx context.Context) error {
	o := &p.options
	authority, err := trust.Open(o.folder.pkiDir())
	if err != nil {
		return err
	}
	access, err := o.folder.access(o.natsListen, authority)
	if err != nil {
		return err
	}
	settings := server.Options{
		Dir: string(o.folder), Name: "reckon", Listen: o.natsListen, TLS: authority.Listen(),
		Durability: o.durability, Authenticate: access.authenticate,
	}
	if m := p.member; m != nil {
		settings.Name, settings.Cluster = m.Name, m.embedded(access, authority)
		settings.Handover = func(name string) ([]byte, error) { return o.folder.handover(access, m.Peers, name) }
		p.say.say("cluster   server %s of %d; waiting for a majority", m.Name, len(m.Peers))
	}
	if p.server, err = server.StartContext(ctx, settings); err != nil {
		return fmt.Errorf("start the bus: %w", err)
	}
	if err := p.connect(); err != nil {
		p.server.Shutdown()
		return err
	}
	return nil
}

// keyStore holds the wrapped keys of secrets.
type keyStore interface {
	sealed.KeyStore
	sealed.Lister
}

func (p *plane) openKeys() error {
	key, err := sealed.ClusterKey(p.options.folder.clusterKey())
	if err != nil {
		return fmt.Errorf("open the cluster key: %w", err)
	}
	if shared := p.server.Keys(); shared != nil {
		p.keyStore = shared
	} else if p.keyStore, err = sealed.NewFileStore(p.options.folder.keys()); err != nil {
		return fmt.Errorf("open the keys of secrets: %w", err)
	}
	p.keys, err = sealed.NewKeyring(key, p.keyStore)
	return err
}

// sweepKeys destroys the keys of secrets that a crash left behind. In a cluster
// a key may be there before its secret is: another server has just made it.
func (p *plane) sweepKeys() error {
	s := p.log.Snapshot()
	shared := p.server.Keys()
	_, err := p.keys.Sweep(p.keyStore, func(uid string) bool {
		if s.ByUID(uid).Exists() {
			return true
		}
		if shared == nil {
			return false
		}
		settled, err := shared.Settled(uid)
		if err != nil {
			slog.Warn("the key of a deleted secret stays for now", "uid", uid, "error", err)
		}
		return err != nil || !settled
	})
	return err
}

// forgetKeys drops, in a cluster, the keys of secrets that other servers
// deleted: this one may hold them in memory.
func (p *plane) forgetKeys(ctx context.Context) error {
	if p.member == nil {
		return nil
	}
	for ctx.Err() == nil {
		for changes, err := range p.log.Changes(ctx, p.log.Snapshot().Position()) {
			if errors.Is(err, events.ErrGone) {
				break // it fell behind: what it missed it forgets at the next start
			}
			if err != nil {
				return err
			}
			for _, c := range changes {
				p.forgetKey(c)
			}
		}
	}
	return ctx.Err()
}

func (p *plane) forgetKey(c projections.Change) {
	if !c.Old.Exists() || c.New.Exists() {
		return
	}
	secret, ok := c.Old.Value.(*corev1.Secret)
	if !ok {
		return
	}
	p.keys.Forget(string(secret.UID))
}
