package gateway

import (
	"time"

	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	aggregatorapiserver "k8s.io/kube-aggregator/pkg/apiserver"
	aggregatorclient "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset"

	"github.com/reckon-project/reckon/gateway/metrics"
)

// newUsage makes what metrics.k8s.io is served from.
func (s *Server) newUsage() {
	s.usage = metrics.NewBook(s.options.Bus, time.Now)
	s.metrics = metrics.NewProvider(&metrics.Reader{Book: s.usage, Log: s.options.Log, At: s.stores.At})
}

// registerMetrics has the metrics API found once the server answers.
func registerMetrics(server *aggregatorapiserver.APIAggregator, c *rest.Config) error {
	// The loopback's own encoding is protobuf, which APIServices have not.
	c = rest.CopyConfig(c)
	c.ContentType = ""
	services, err := aggregatorclient.NewForConfig(c)
	if err != nil {
		return err
	}
	roles, err := kubernetes.NewForConfig(c)
	if err != nil {
		return err
	}
	r := metrics.Registration{Services: services, Roles: roles, Informer: server.APIRegistrationInformers.Apiregistration().V1().APIServices().Informer()}
	server.GenericAPIServer.AddPostStartHookOrDie("register-metrics-api", func(hook genericapiserver.PostStartHookContext) error {
		go r.Run(hook) // ends with the server; nobody waits for it
		return nil
	})
	return nil
}
