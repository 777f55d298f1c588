package gateway

import (
	"context"

	"k8s.io/apiserver/pkg/registry/generic"
	etcdmetrics "k8s.io/apiserver/pkg/storage/etcd3/metrics"
	"k8s.io/apiserver/pkg/util/webhook"
	aggregatorapiserver "k8s.io/kube-aggregator/pkg/apiserver"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
	controlplaneapiserver "k8s.io/kubernetes/pkg/controlplane/apiserver"
)

// chain builds the three servers, each asking the next for what it doesn't
// know:
//
//	aggregation ─► Kubernetes ─► custom resources ─► 404
//
// The configurations are upstream's; in each the store is replaced by ours.
func (s *Server) chain(ctx context.Context, o options.CompletedOptions) (*aggregatorapiserver.APIAggregator, error) {
	g, err := s.newShared(ctx, o)
	if err != nil {
		return nil, err
	}
	ours := func(upstream generic.RESTOptionsGetter) generic.RESTOptionsGetter {
		return restOptions{upstream, s.decorator}
	}
	g.config.RESTOptionsGetter = ours(g.config.RESTOptionsGetter)

	kube, resolver, initializers, err := app.CreateKubeAPIServerConfig(o, g.config, g.informers, g.storages)
	if err != nil {
		return nil, err
	}
	extensions, err := controlplaneapiserver.CreateAPIExtensionsConfig(*kube.ControlPlane.Generic, g.informers, initializers, o.CompletedOptions, o.MasterCount,
		resolver, webhook.NewDefaultAuthenticationInfoResolverWrapper(kube.ControlPlane.ProxyTransport, g.config.EgressSelector, g.config.LoopbackClientConfig, g.config.TracerProvider))
	if err != nil {
		return nil, err
	}
	extensions.GenericConfig.RESTOptionsGetter = ours(extensions.GenericConfig.RESTOptionsGetter)
	extensions.ExtraConfig.CRDRESTOptionsGetter = ours(extensions.ExtraConfig.CRDRESTOptionsGetter)
	aggregator, err := controlplaneapiserver.CreateAggregatorConfig(*kube.ControlPlane.Generic, o.CompletedOptions, g.informers, resolver, kube.ControlPlane.ProxyTransport, nil, initializers)
	if err != nil {
		return nil, err
	}
	aggregator.GenericConfig.RESTOptionsGetter = ours(aggregator.GenericConfig.RESTOptionsGetter)
	// Applying etcd's options left a monitor that would dial etcd when /metrics is read.
	etcdmetrics.SetStorageMonitorGetter(func() ([]etcdmetrics.Monitor, error) { return nil, nil })

	return s.servers(kube, extensions, aggregator)
}
