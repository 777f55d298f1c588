package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/reckon-project/reckon/agent/hollow"
	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/gateway/store"
	"github.com/reckon-project/reckon/projections"
	"github.com/reckon-project/reckon/projections/sealed"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// A fork runs beside the cluster that it was taken from, so its addresses are others.
const (
	hollowListen     = "127.0.0.1:7443"
	hollowNATSListen = "127.0.0.1:5222"
)

// hollowDefaults are for what wasn't set.
func (o *planeOptions) hollowDefaults(cmd *cobra.Command) {
	if !cmd.Flags().Changed("listen") {
		o.listen = hollowListen
	}
	if !cmd.Flags().Changed("nats-listen") {
		o.natsListen = hollowNATSListen
	}
}

// checkFork sees that a fork, and nothing else, is run with hollow nodes, and
// that it reaches nothing outside.
func (o *planeOptions) checkFork() error {
	from, err := o.folder.forked()
	switch {
	case err != nil:
		return err
	case from == nil && o.hollow:
		return fmt.Errorf("%s is no fork: --hollow would pretend over the state of a real cluster; make a fork with reckon fork --at now --from %s --data DIR", o.folder, o.folder)
	case from == nil:
		return nil
	case !o.hollow:
		return fmt.Errorf("%s is a fork of the cluster in %s: run it with reckon up --hollow --data %s", o.folder, from.Origin, o.folder)
	}
	return o.isolate()
}

// isolate keeps the API server from calling what the cluster's objects name:
// webhooks aren't asked, and what goes to services goes nowhere.
func (o *planeOptions) isolate() error {
	egress := o.folder.path("egress.yaml")
	text := fmt.Sprintf(`apiVersion: apiserver.k8s.io/v1beta1
kind: EgressSelectorConfiguration
egressSelections:
- name: cluster
  connection:
    proxyProtocol: HTTPConnect
    transport: {uds: {udsName: %q}}
`, o.folder.path("nowhere.sock"))
	if err := os.WriteFile(egress, []byte(text), 0o600); err != nil {
		return err
	}
	o.apiFlags = append(slices.Clone(o.apiFlags),
		"--disable-admission-plugins=MutatingAdmissionWebhook,ValidatingAdmissionWebhook",
		"--egress-selector-config-file="+egress)
	return nil
}

// sealer gives what opens and seals Secrets.
func (p *plane) sealer() func(schema.GroupResource) store.Sealer {
	if p.options.hollow {
		return store.WithheldSecrets(p.keys)
	}
	return store.SealSecrets(p.keys)
}

// openSecret is what nodes get of a Secret.
func (p *plane) openSecret(secret *corev1.Secret) (*corev1.Secret, error) {
	opened, err := p.keys.Open(secret)
	if p.options.hollow && errors.Is(err, sealed.ErrDestroyed) {
		return store.Withhold(opened), nil
	}
	return opened, err
}

// standIn runs a hollow node in place of each node of the log that was alive.
func (p *plane) standIn(ctx context.Context, group *errgroup.Group) error {
	s := p.log.Snapshot()
	crew := &hollow.Crew{Log: slog.Default(), Connect: func(node string) (bus.Bus, error) { return p.server.Connect("node:" + node) }}
	ran := 0
	var joined, lost []string
	for node := range projections.List[*corev1.Node](s, "", "nodes", "") {
		if !isReady(node) {
			lost = append(lost, node.Name)
			continue
		}
		var pods []*corev1.Pod
		for o := range s.PodsOn(node.Name) {
			pods = append(pods, o.Value.(*corev1.Pod))
		}
		ran += len(pods)
		if err := crew.Join(ctx, node, pods); err != nil {
			return fmt.Errorf("stand in for node %s: %w", node.Name, err)
		}
		joined = append(joined, node.Name)
	}
	group.Go(func() error {
		defer crew.Wait()
		return p.followNodes(ctx, crew, s.Position())
	})
	if err := p.awaitReports(ctx, joined, s.Position()); err != nil {
		return err
	}
	p.say.say("nodes     hollow nodes stand in for %d of the log, with %d pods", len(joined), ran)
	if len(lost) > 0 {
		p.say.say("nodes     %s weren't ready at that moment, and nobody stands in for them", strings.Join(lost, ", "))
	}
	p.say.ready()
	return nil
}

func isReady(node *corev1.Node) bool {
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// followNodes stands in for nodes that are made, and no longer for those that are removed.
func (p *plane) followNodes(ctx context.Context, crew *hollow.Crew, from uint64) error {
	for changes, err := range p.log.Changes(ctx, from) {
		if err != nil {
			return err
		}
		for _, c := range changes {
			if c.Void != nil || c.Event.Key.Group != "" || c.Event.Key.Resource != "nodes" {
				continue
			}
			switch {
			case !c.New.Exists():
				crew.Leave(c.Event.Key.Name)
			case !c.Old.Exists():
				if err := crew.Join(ctx, c.New.Value.(*corev1.Node), nil); err != nil && ctx.Err() == nil {
					slog.Error("nobody stands in for a new node", "node", c.Event.Key.Name, "error", err)
				}
			}
		}
	}
	return ctx.Err()
}

// awaitReports waits until each of the nodes has reported since position.
func (p *plane) awaitReports(ctx context.Context, names []string, position uint64) error {
	reported := func() bool {
		s := p.log.Snapshot()
		return !slices.ContainsFunc(names, func(name string) bool {
			o := s.Get(events.Key{Resource: "nodes", Name: name})
			return o.Exists() && o.Version <= position
		})
	}
	if reported() {
		return nil
	}
	for _, err := range p.log.Changes(ctx, position) {
		if err != nil {
			return err
		}
		if reported() {
			return nil
		}
	}
	return ctx.Err()
}
