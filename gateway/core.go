package gateway

import (
	"fmt"
	"time"

	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/registry/rest"
	genericapiserver "k8s.io/apiserver/pkg/server"
	serverstorage "k8s.io/apiserver/pkg/server/storage"
	"k8s.io/client-go/kubernetes"
	"k8s.io/kubernetes/pkg/controlplane"
	kubeletclient "k8s.io/kubernetes/pkg/kubelet/client"
	endpointsstore "k8s.io/kubernetes/pkg/registry/core/endpoint/storage"
	limitrangestore "k8s.io/kubernetes/pkg/registry/core/limitrange/storage"
	nodestore "k8s.io/kubernetes/pkg/registry/core/node/storage"
	pvstore "k8s.io/kubernetes/pkg/registry/core/persistentvolume/storage"
	pvcstore "k8s.io/kubernetes/pkg/registry/core/persistentvolumeclaim/storage"
	podstore "k8s.io/kubernetes/pkg/registry/core/pod/storage"
	podtemplatestore "k8s.io/kubernetes/pkg/registry/core/podtemplate/storage"
	controllerstore "k8s.io/kubernetes/pkg/registry/core/replicationcontroller/storage"
	corerest "k8s.io/kubernetes/pkg/registry/core/rest"
	servicestore "k8s.io/kubernetes/pkg/registry/core/service/storage"
	serviceaccountstore "k8s.io/kubernetes/pkg/registry/core/serviceaccount/storage"

	"github.com/reckon-project/reckon/bus"
)

// core is the core group: upstream's generic half of it (namespaces, secrets,
// config maps, quotas, events, service accounts), and the rest from the
// exported storages of each resource, with allocators that keep their state in
// the log and with connections to nodes through their tunnels.
type core struct {
	corerest.GenericConfig
	config    controlplane.CompletedConfig
	client    *kubernetes.Clientset
	allocated *allocators
	bus       bus.Bus
	nodes     tunnels
	short     *shortWay
}

func (s *Server) newCore(c controlplane.CompletedConfig, client *kubernetes.Clientset) (*core, error) {
	allocated, err := s.newAllocators(c, client)
	if err != nil {
		return nil, err
	}
	return &core{
		GenericConfig: *c.ControlPlane.NewCoreGenericConfig(),
		config:        c, client: client, allocated: allocated,
		bus: s.options.Bus, nodes: newTunnels(s.options.Bus), short: s.local.short,
	}, nil
}

// NewRESTStorage implements controlplaneapiserver.RESTStorageProvider.
func (c *core) NewRESTStorage(resources serverstorage.APIResourceConfigSource, getter generic.RESTOptionsGetter) (genericapiserver.APIGroupInfo, error) {
	group, err := c.GenericConfig.NewRESTStorage(resources, getter)
	if err != nil {
		return group, err
	}
	v1 := group.VersionedResourcesStorageMap["v1"]
	if err := c.addWorkloads(v1, getter); err != nil {
		return group, err
	}
	return group, c.addSimple(v1, getter)
}

// addWorkloads adds the resources that depend on one another: nodes, pods,
// services and service accounts (whose tokens may be bound to pods and nodes).
func (c *core) addWorkloads(v1 map[string]rest.Storage, getter generic.RESTOptionsGetter) error {
	authorizer := c.config.ControlPlane.Generic.Authorization.Authorizer
	proxy := c.config.ControlPlane.ProxyTransport

	node, err := nodestore.NewStorage(getter, kubeletclient.KubeletClientConfig{}, proxy)
	if err != nil {
		return fmt.Errorf("nodes: %w", err)
	}
	v1["nodes"], v1["nodes/status"] = node.Node, node.Status
	v1["nodes/proxy"] = &nodeProxy{store: node.Node.Store, tunnels: c.nodes}

	pod, err := podstore.NewStorage(getter, c.nodes, proxy, c.client.PolicyV1(), authorizer)
	if err != nil {
		return fmt.Errorf("pods: %w", err)
	}
	if generic := c.config.ControlPlane.Generic; generic.AuditBackend == nil {
		c.short.pods.Store(&podCreates{pod.Pod, generic.AdmissionControl, authorizer})
	}
	v1["pods"], v1["pods/status"], v1["pods/resize"] = pod.Pod, pod.Status, pod.Resize
	v1["pods/ephemeralcontainers"], v1["pods/eviction"] = pod.EphemeralContainers, pod.Eviction
	v1["pods/binding"], v1["bindings"] = pod.Binding, pod.LegacyBinding
	v1["pods/log"], v1["pods/exec"], v1["pods/attach"] = pod.Log, pod.Exec, pod.Attach
	v1["pods/portforward"], v1["pods/proxy"] = pod.PortForward, pod.Proxy

	service, serviceStatus, serviceProxy, err := servicestore.NewREST(getter, c.allocated.primary, c.allocated.addresses, c.allocated.ports, c.config.ControlPlane.EndpointSliceGetter, pod.Pod, proxy)
	if err != nil {
		return fmt.Errorf("services: %w", err)
	}
	v1["services"], v1["services/status"], v1["services/proxy"] = service, serviceStatus, serviceProxy

	for _, name := range []string{"serviceaccounts", "serviceaccounts/token"} {
		v1[name].Destroy() // replaced by one that can bind tokens to pods and nodes
	}
	webhooks := c.client.AdmissionregistrationV1()
	account, err := serviceaccountstore.NewREST(getter, c.ServiceAccountIssuer, c.APIAudiences, authorizer, c.ServiceAccountMaxExpiration,
		pod.Pod.Store, v1["secrets"].(rest.Getter), node.Node.Store,
		webhooks.ValidatingWebhookConfigurations(), webhooks.MutatingWebhookConfigurations(), c.ExtendExpiration, c.MaxExtendedExpiration)
	if err != nil {
		return fmt.Errorf("service accounts: %w", err)
	}
	v1["serviceaccounts"], v1["serviceaccounts/token"] = account, account.Token
	return nil
}

// addSimple adds the resources that stand alone.
func (c *core) addSimple(v1 map[string]rest.Storage, getter generic.RESTOptionsGetter) (err error) {
	if v1["podtemplates"], err = podtemplatestore.NewREST(getter); err != nil {
		return fmt.Errorf("pod templates: %w", err)
	}
	if v1["limitranges"], err = limitrangestore.NewREST(getter); err != nil {
		return fmt.Errorf("limit ranges: %w", err)
	}
	if v1["endpoints"], err = endpointsstore.NewREST(getter); err != nil {
		return fmt.Errorf("endpoints: %w", err)
	}
	if v1["persistentvolumes"], v1["persistentvolumes/status"], err = pvstore.NewREST(getter); err != nil {
		return fmt.Errorf("volumes: %w", err)
	}
	if v1["persistentvolumeclaims"], v1["persistentvolumeclaims/status"], err = pvcstore.NewREST(getter); err != nil {
		return fmt.Errorf("claims: %w", err)
	}
	v1["componentstatuses"] = componentStatuses(c.bus)
	rc, err := controllerstore.NewStorage(getter)
	if err != nil {
		return fmt.Errorf("replication controllers: %w", err)
	}
	v1["replicationcontrollers"], v1["replicationcontrollers/status"], v1["replicationcontrollers/scale"] = rc.Controller, rc.Status, rc.Scale
	return nil
}

// PostStartHook implements genericapiserver.PostStartHookProvider: addresses
// and ports of services are checked against the services, now and every while.
func (c *core) PostStartHook() (string, genericapiserver.PostStartHookFunc, error) {
	return "start-service-ip-repair-controllers", func(hook genericapiserver.PostStartHookContext) error {
		return c.allocated.repair(hook, time.Minute)
	}, nil
}
