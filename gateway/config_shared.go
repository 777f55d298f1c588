package gateway

import (
	"context"
	"fmt"
	"net/http"

	apiextensionsapiserver "k8s.io/apiextensions-apiserver/pkg/apiserver"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/endpoints/discovery/aggregated"
	openapinamer "k8s.io/apiserver/pkg/endpoints/openapi"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/filters"
	serverstorage "k8s.io/apiserver/pkg/server/storage"
	"k8s.io/apiserver/pkg/util/openapi"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	aggregatorscheme "k8s.io/kube-aggregator/pkg/apiserver/scheme"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	"k8s.io/kubernetes/pkg/controlplane"
	controlplaneapiserver "k8s.io/kubernetes/pkg/controlplane/apiserver"
	generatedopenapi "k8s.io/kubernetes/pkg/generated/openapi"
	"k8s.io/kubernetes/pkg/kubeapiserver"

	"github.com/reckon-project/reckon/gateway/history"
	"github.com/reckon-project/reckon/gateway/metrics"
)

// shared is what the three servers of the chain (Kubernetes, custom resources,
// aggregation) have in common.
type shared struct {
	config    *genericapiserver.Config
	informers informers.SharedInformerFactory
	storages  *serverstorage.DefaultStorageFactory
}

// newShared does for our server what upstream's BuildGenericConfig does for
// etcd's: the same options applied in the same order, with the loopback client
// in process and no etcd to watch over.
func (s *Server) newShared(ctx context.Context, o options.CompletedOptions) (*shared, error) {
	c := genericapiserver.NewConfig(legacyscheme.Codecs)
	resources := controlplane.DefaultAPIResourceConfigSource()
	c.MergedResourceConfig = resources
	if err := o.GenericServerRunOptions.ApplyTo(c); err != nil {
		return nil, err
	}
	c.EffectiveVersion = known{c.EffectiveVersion}
	if err := o.SecureServing.SecureServingOptions.ApplyTo(&c.SecureServing); err != nil {
		return nil, err
	}
	c.LoopbackClientConfig = &rest.Config{
		Host:      "https://localhost",
		Transport: s.local.transport(loopback),
		QPS:       -1, // as in kube-apiserver: no limit for itself
		ContentConfig: rest.ContentConfig{
			ContentType: runtime.ContentTypeProtobuf,
		},
		DisableCompression: true,
	}
	client, err := kubernetes.NewForConfig(c.LoopbackClientConfig)
	if err != nil {
		return nil, err
	}
	watched := informers.NewSharedInformerFactory(client, 0)
	s.direct.inform(watched)

	if err := o.Features.ApplyTo(c, client, watched); err != nil {
		return nil, err
	}
	if err := o.APIEnablement.ApplyTo(c, resources, legacyscheme.Scheme); err != nil {
		return nil, err
	}
	if err := o.EgressSelector.ApplyTo(c); err != nil {
		return nil, err
	}
	if err := o.Traces.ApplyTo(c.EgressSelector, c); err != nil {
		return nil, err
	}
	definitions := openapi.GetOpenAPIDefinitionsWithoutDisabledFeatures(generatedopenapi.GetOpenAPIDefinitions)
	namer := openapinamer.NewDefinitionNamer(legacyscheme.Scheme, apiextensionsapiserver.Scheme, aggregatorscheme.Scheme)
	c.OpenAPIConfig = genericapiserver.DefaultOpenAPIConfig(definitions, namer)
	c.OpenAPIConfig.Info.Title = "Kubernetes"
	c.OpenAPIV3Config = genericapiserver.DefaultOpenAPIV3Config(definitions, namer)
	c.OpenAPIV3Config.Info.Title = "Kubernetes"
	c.LongRunningFunc = filters.BasicLongRunningRequestCheck(
		sets.NewString("watch", "proxy"),
		sets.NewString("attach", "exec", "proxy", "log", "portforward"),
	)

	sf := kubeapiserver.NewStorageFactoryConfigEffectiveVersion(c.EffectiveVersion)
	sf.APIResourceConfig = c.MergedResourceConfig
	sf.DefaultResourceEncoding.SetEffectiveVersion(c.EffectiveVersion)
	storages, err := sf.Complete(o.Etcd).New()
	if err != nil {
		return nil, fmt.Errorf("list the storage encodings: %w", err)
	}
	storages.StorageConfig.StorageObjectCountTracker = c.StorageObjectCountTracker
	c.RESTOptionsGetter = o.Etcd.CreateRESTOptionsGetter(storages, nil)

	if err := o.Authentication.ApplyTo(ctx, &c.Authentication, c.SecureServing, c.EgressSelector, c.OpenAPIConfig, c.OpenAPIV3Config, client, watched, c.APIServerID); err != nil {
		return nil, fmt.Errorf("set up authentication: %w", err)
	}
	c.Authentication.Authenticator = contextAuthenticator{newCertAuthenticator(c.Authentication.Authenticator)}
	c.Authorization.Authorizer, c.RuleResolver, _, err = controlplaneapiserver.BuildAuthorizer(ctx, o.CompletedOptions, c.EgressSelector, c.APIServerID, watched)
	if err != nil {
		return nil, fmt.Errorf("set up authorization: %w", err)
	}
	c.Authorization.Authorizer = nodePaths{c.Authorization.Authorizer}
	if err := o.Audit.ApplyTo(c); err != nil {
		return nil, fmt.Errorf("set up auditing: %w", err)
	}
	c.RequestInfoResolver = history.Resolver{Next: genericapiserver.NewRequestInfoResolver(c)}
	c.AggregatedDiscoveryGroupManager = aggregated.NewResourceManager("apis")
	c.AggregatedDiscoveryGroupManager.SetGroupVersionPriority(metav1.GroupVersion(metrics.GroupVersion), metrics.Priority, metrics.Priority)
	c.BuildHandlerChainFunc = func(api http.Handler, c *genericapiserver.Config) http.Handler {
		return s.past.Strip(withOrigin(genericapiserver.DefaultBuildHandlerChain(s.past.Serve(s.local.short.overHTTP(api)), c)))
	}
	return &shared{config: c, informers: watched, storages: storages}, nil
}
