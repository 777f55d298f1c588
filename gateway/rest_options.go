package gateway

import (
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/apiserver/pkg/storage/storagebackend/factory"
	"k8s.io/client-go/tools/cache"
	"k8s.io/kubernetes/pkg/apis/coordination"
	api "k8s.io/kubernetes/pkg/apis/core"
)

// restOptions gives the registries upstream's encodings and paths, and our
// store in place of etcd's.
type restOptions struct {
	upstream generic.RESTOptionsGetter
	store    generic.StorageDecorator
}

func (r restOptions) GetRESTOptions(resource schema.GroupResource, example runtime.Object) (generic.RESTOptions, error) {
	o, err := r.upstream.GetRESTOptions(resource, example)
	o.Decorator = r.store
	o.CountMetricPollPeriod = 0
	return o, err
}

// decorator makes the store of a resource; it is a generic.StorageDecorator.
// Events are read from the book of news, Leases with those of the nodes.
func (s *Server) decorator(
	config *storagebackend.ConfigForResource, prefix string, key func(runtime.Object) (string, error),
	newFunc, newListFunc func() runtime.Object, attrs storage.AttrFunc, triggers storage.IndexerFuncs, indexers *cache.Indexers,
) (storage.Interface, factory.DestroyFunc, error) {
	made, destroy, err := s.stores.Decorator(config, prefix, key, newFunc, newListFunc, attrs, triggers, indexers)
	if err != nil {
		return nil, nil, err
	}
	switch config.GroupResource {
	case api.Resource("events"):
		made = s.news.Over(made, prefix)
	case coordination.Resource("leases"):
		made = s.leases.Over(made, prefix)
	}
	return made, destroy, nil
}
