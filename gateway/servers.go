package gateway

import (
	"fmt"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensionsapiserver "k8s.io/apiextensions-apiserver/pkg/apiserver"
	genericapifilters "k8s.io/apiserver/pkg/endpoints/filters"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/util/notfoundhandler"
	"k8s.io/client-go/kubernetes"
	aggregatorapiserver "k8s.io/kube-aggregator/pkg/apiserver"
	"k8s.io/kubernetes/pkg/controlplane"
	controlplaneapiserver "k8s.io/kubernetes/pkg/controlplane/apiserver"
	"k8s.io/kubernetes/pkg/controlplane/controller/defaultservicecidr"
	"k8s.io/kubernetes/pkg/controlplane/controller/kubernetesservice"

	"github.com/reckon-project/reckon/gateway/past"
)

// servers makes the chain's servers from their configurations, last first.
func (s *Server) servers(kube *controlplane.Config, extensions *apiextensionsapiserver.Config, aggregator *aggregatorapiserver.Config) (*aggregatorapiserver.APIAggregator, error) {
	aggregation, k, x := aggregator.Complete(), kube.Complete(), extensions.Complete()
	s.past.Custom = past.CustomHandlers(x)

	notFound := notfoundhandler.New(kube.ControlPlane.Generic.Serializer, genericapifilters.NoMuxAndDiscoveryIncompleteKey)
	custom, err := x.New(genericapiserver.NewEmptyDelegateWithCustomHandler(notFound))
	if err != nil {
		return nil, fmt.Errorf("make the server of custom resources: %w", err)
	}
	crds := x.GenericConfig.MergedResourceConfig.ResourceEnabled(apiextensionsv1.SchemeGroupVersion.WithResource("customresourcedefinitions"))
	kubernetesAPI, err := s.kubernetesServer(k, custom.GenericAPIServer)
	if err != nil {
		return nil, fmt.Errorf("make the server of Kubernetes' resources: %w", err)
	}
	server, err := controlplaneapiserver.CreateAggregatorServer(aggregation, kubernetesAPI.GenericAPIServer, custom.Informers.Apiextensions().V1().CustomResourceDefinitions(), crds, apiPriorities())
	if err != nil {
		return nil, fmt.Errorf("make the aggregating server: %w", err)
	}
	if err := registerMetrics(server, aggregator.GenericConfig.LoopbackClientConfig); err != nil {
		return nil, fmt.Errorf("register the metrics API: %w", err)
	}
	return server, nil
}

// kubernetesServer is upstream's controlplane.Instance with the core group
// assembled by us, since upstream's dials etcd for its allocators.
func (s *Server) kubernetesServer(c controlplane.CompletedConfig, next genericapiserver.DelegationTarget) (*controlplaneapiserver.Server, error) {
	generic := c.ControlPlane.Generic
	generic.SkipOpenAPIInstallation = true
	server, err := c.ControlPlane.New(controlplaneapiserver.KubeAPIServer, next)
	if err != nil {
		return nil, err
	}
	client, err := kubernetes.NewForConfig(c.ControlPlane.Generic.LoopbackClientConfig)
	if err != nil {
		return nil, err
	}
	groups, err := s.groups(c, client)
	if err != nil {
		return nil, err
	}
	if err := server.InstallAPIs(groups...); err != nil {
		return nil, err
	}
	api := server.GenericAPIServer
	describeOnRequest(api, generic.OpenAPIConfig, generic.OpenAPIV3Config)

	_, port, err := c.ControlPlane.Generic.SecureServing.HostPort()
	if err != nil {
		return nil, err
	}
	if err := c.Extra.EndpointReconcilerConfig.Reconciler.ValidateIP(c.ControlPlane.Generic.PublicAddress); err != nil {
		return nil, fmt.Errorf("advertise %s: %w", c.ControlPlane.Generic.PublicAddress, err)
	}
	service := kubernetesservice.New(kubernetesservice.Config{
		PublicIP:           c.ControlPlane.Generic.PublicAddress,
		PublicServicePort:  port,
		EndpointReconciler: c.Extra.EndpointReconcilerConfig.Reconciler,
		EndpointInterval:   c.Extra.EndpointReconcilerConfig.Interval,
		ServiceIP:          c.Extra.APIServerServiceIP,
		ServicePort:        c.Extra.APIServerServicePort,
	}, client, c.ControlPlane.Extra.VersionedInformers.Core().V1().Services())
	api.AddPostStartHookOrDie("bootstrap-controller", func(hook genericapiserver.PostStartHookContext) error {
		service.Start(hook.Done())
		return nil
	})
	api.AddPreShutdownHookOrDie("stop-kubernetes-service-controller", func() error {
		service.Stop()
		return nil
	})
	ranges := defaultservicecidr.NewController(c.Extra.ServiceIPRange, c.Extra.SecondaryServiceIPRange, client)
	api.AddPostStartHookOrDie("start-kubernetes-service-cidr-controller", func(hook genericapiserver.PostStartHookContext) error {
		ranges.Start(hook) // services can't be allocated addresses before it
		return nil
	})
	if err := s.tellClusterInfo(api, client, c.ControlPlane.Generic.PublicAddress, port); err != nil {
		return nil, err
	}
	if err := checkPolicies(api, client, c.ControlPlane.Extra.VersionedInformers); err != nil {
		return nil, err
	}
	return server, nil
}
