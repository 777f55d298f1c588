package metrics

import (
	"sync"

	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/registry/rest"
	genericapiserver "k8s.io/apiserver/pkg/server"
	serverstorage "k8s.io/apiserver/pkg/server/storage"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	controlplaneapiserver "k8s.io/kubernetes/pkg/controlplane/apiserver"
	"k8s.io/metrics/pkg/apis/metrics"
	"k8s.io/metrics/pkg/apis/metrics/install"
	"k8s.io/metrics/pkg/apis/metrics/v1beta1"
)

// GroupVersion is what is served.
var GroupVersion = v1beta1.SchemeGroupVersion

// known makes the types known to the API server, once in a process.
var known = sync.OnceFunc(func() { install.Install(legacyscheme.Scheme) })

// Provider installs the group.
type Provider struct{ reader *Reader }

var _ controlplaneapiserver.RESTStorageProvider = Provider{}

// NewProvider makes a Provider. It is made before the API server's configuration,
// which describes the types that are known by then.
func NewProvider(r *Reader) Provider {
	known()
	return Provider{r}
}

// GroupName implements controlplaneapiserver.RESTStorageProvider.
func (Provider) GroupName() string { return metrics.GroupName }

// NewRESTStorage implements controlplaneapiserver.RESTStorageProvider.
func (p Provider) NewRESTStorage(serverstorage.APIResourceConfigSource, generic.RESTOptionsGetter) (genericapiserver.APIGroupInfo, error) {
	info := genericapiserver.NewDefaultAPIGroupInfo(metrics.GroupName, legacyscheme.Scheme, legacyscheme.ParameterCodec, legacyscheme.Codecs)
	info.VersionedResourcesStorageMap[GroupVersion.Version] = map[string]rest.Storage{
		"nodes": nodes{Reader: p.reader},
		"pods":  pods{Reader: p.reader},
	}
	return info, nil
}
