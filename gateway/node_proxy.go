package gateway

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/util/proxy"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	api "k8s.io/kubernetes/pkg/apis/core"
)

// nodeProxy is nodes/proxy: requests to a node's kubelet API through its tunnel.
type nodeProxy struct {
	store   *genericregistry.Store
	tunnels tunnels
}

var _ rest.Connecter = (*nodeProxy)(nil)

func (p *nodeProxy) New() runtime.Object { return &api.NodeProxyOptions{} }
func (p *nodeProxy) Destroy()            {} // the store is that of nodes

func (p *nodeProxy) ConnectMethods() []string {
	return []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodHead, http.MethodOptions}
}

func (p *nodeProxy) NewConnectOptions() (runtime.Object, bool, string) {
	return &api.NodeProxyOptions{}, true, "path"
}

// Connect implements rest.Connecter. id is a node's name, with or without the
// agent's port; other ports aren't reached by the tunnel.
func (p *nodeProxy) Connect(ctx context.Context, id string, options runtime.Object, responder rest.Responder) (http.Handler, error) {
	o, ok := options.(*api.NodeProxyOptions)
	if !ok {
		return nil, fmt.Errorf("options of nodes/proxy are %T", options)
	}
	_, name, port, valid := utilnet.SplitSchemeNamePort(id)
	if !valid || (port != "" && port != kubeletPort) {
		return nil, errors.NewBadRequest(fmt.Sprintf("node proxy to %q: only the node's agent can be reached, at <name> or <name>:%s", id, kubeletPort))
	}
	if _, err := p.store.Get(ctx, name, &metav1.GetOptions{}); err != nil {
		return nil, err
	}
	location := &url.URL{Scheme: "http", Host: name + ":" + kubeletPort, Path: utilnet.JoinPreservingTrailingSlash("", o.Path)}
	return proxy.NewUpgradeAwareHandler(location, p.tunnels.node, true, false, proxy.NewErrorResponder(responder)), nil
}
