package main

import (
	"context"
	"fmt"
	"net/http"
	"os"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/builtin"
	"github.com/reckon-project/reckon/controllers/certificates"
	"github.com/reckon-project/reckon/controllers/nodefeed"
	"golang.org/x/sync/errgroup"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/component-base/metrics/legacyregistry"
)

// runControllers runs the built-in controllers and the node feed. Their writes
// go through the gateway's whole handler chain, in process, each as its service
// account.
func (p *plane) runControllers(ctx context.Context) error {
	ca, err := os.ReadFile(p.options.folder.path("pki/ca.crt"))
	if err != nil {
		return fmt.Errorf("read the cluster's CA: %w", err)
	}
	var authority certificates.Authority
	if authority.Certificate, authority.Key, err = p.gateway.Authority(); err != nil {
		return fmt.Errorf("read the cluster's authority: %w", err)
	}
	token, err := p.gateway.LegacyTokens()
	if err != nil {
		return fmt.Errorf("read the key of service accounts' tokens: %w", err)
	}
	intake := func(controller string) http.RoundTripper {
		if controller == user.KubeControllerManager {
			return p.gateway.Transport(&user.DefaultInfo{Name: controller, Groups: []string{user.AllAuthenticated}})
		}
		return p.gateway.Transport(controllerUser(controller))
	}
	ranges, err := p.options.podRanges()
	if err != nil {
		return err
	}
	metrics := controllers.NewMetrics()
	if err := legacyregistry.Registerer().Register(metrics); err != nil {
		return fmt.Errorf("register the controllers' metrics: %w", err)
	}
	defer legacyregistry.Registerer().Unregister(metrics)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return controllers.Run(ctx, controllers.Options{Bus: p.bus, Projection: p.log, Intake: intake, Holder: p.holder, Metrics: metrics},
			builtin.Controllers(builtin.Settings{Bus: p.bus, RootCA: ca, Volatile: p.volatile, Authority: authority, Review: p.gateway.Review, Open: p.openSecret, Token: token, Intake: intake, PodRanges: ranges, ServiceLB: p.options.serviceLB, OwnPorts: p.options.ownPorts()})...)
	})
	group.Go(func() error {
		return nodefeed.Run(ctx, nodefeed.Options{Bus: p.bus, Projection: p.log, Open: p.openSecret, Holder: p.holder})
	})
	return group.Wait()
}
