package past

import (
	"fmt"
	"net/http"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensionsapiserver "k8s.io/apiextensions-apiserver/pkg/apiserver"
	listers "k8s.io/apiextensions-apiserver/pkg/client/listers/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/client-go/tools/cache"
)

// CustomHandlers makes handlers of custom resources as the server of the present
// has them, but for definitions that stay as they are.
func CustomHandlers(c apiextensionsapiserver.CompletedConfig) func(Definitions) (http.Handler, error) {
	return func(d Definitions) (http.Handler, error) {
		fixed, err := newFixed(d)
		if err != nil {
			return nil, err
		}
		return apiextensionsapiserver.NewCustomResourceDefinitionHandler(
			nil, nil, // discovery isn't asked of it
			fixed, http.HandlerFunc(unknown), c.ExtraConfig.CRDRESTOptionsGetter, c.GenericConfig.AdmissionControl,
			nil, // nothing becomes established
			c.ExtraConfig.ServiceResolver, c.ExtraConfig.AuthResolverWrapper, c.ExtraConfig.MasterCount, c.GenericConfig.Authorization.Authorizer,
			c.GenericConfig.RequestTimeout, time.Duration(c.GenericConfig.MinRequestTimeout)*time.Second, nil, c.GenericConfig.MaxRequestBodyBytes,
		)
	}
}

// unknown answers for what wasn't defined.
func unknown(w http.ResponseWriter, r *http.Request) {
	info, ok := request.RequestInfoFrom(r.Context())
	if !ok {
		http.NotFound(w, r)
		return
	}
	err := apierrors.NewNotFound(schema.GroupResource{Group: info.APIGroup, Resource: info.Resource}, info.Name)
	err.ErrStatus.Message = fmt.Sprintf("%s.%s/%s was not defined at that moment", info.Resource, info.APIGroup, info.APIVersion)
	fail(w, r, err)
}

// fixed is an informer of definitions that never change. Nobody runs it.
type fixed struct{ informer cache.SharedIndexInformer }

func newFixed(d Definitions) (fixed, error) {
	informer := cache.NewSharedIndexInformer(&cache.ListWatch{}, &apiextensionsv1.CustomResourceDefinition{}, 0, cache.Indexers{})
	for _, crd := range d {
		if err := informer.GetIndexer().Add(crd); err != nil {
			return fixed{}, fmt.Errorf("definition %s: %w", crd.Name, err)
		}
	}
	return fixed{informer}, nil
}

func (f fixed) Informer() cache.SharedIndexInformer { return f.informer }

func (f fixed) Lister() listers.CustomResourceDefinitionLister {
	return listers.NewCustomResourceDefinitionLister(f.informer.GetIndexer())
}
