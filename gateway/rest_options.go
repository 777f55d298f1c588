package gateway

import (
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/generic"
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
