// Package builtin lists the controllers that every cluster runs.
package builtin

import (
	"context"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/certificates"
	"github.com/reckon-project/reckon/controllers/clusterrole"
	"github.com/reckon-project/reckon/controllers/cronjob"
	"github.com/reckon-project/reckon/controllers/daemonset"
	"github.com/reckon-project/reckon/controllers/deployment"
	"github.com/reckon-project/reckon/controllers/disruption"
	"github.com/reckon-project/reckon/controllers/endpointslice"
	"github.com/reckon-project/reckon/controllers/garbage"
	"github.com/reckon-project/reckon/controllers/job"
	"github.com/reckon-project/reckon/controllers/namespace"
	"github.com/reckon-project/reckon/controllers/nodeipam"
	"github.com/reckon-project/reckon/controllers/nodelifecycle"
	"github.com/reckon-project/reckon/controllers/podgc"
	"github.com/reckon-project/reckon/controllers/replicaset"
	"github.com/reckon-project/reckon/controllers/replicationcontroller"
	"github.com/reckon-project/reckon/controllers/resourcequota"
	"github.com/reckon-project/reckon/controllers/serviceaccount"
	"github.com/reckon-project/reckon/controllers/statefulset"
	"github.com/reckon-project/reckon/controllers/ttlafterfinished"
	"github.com/reckon-project/reckon/projections"
)

// Settings are what the cluster's controllers have to be told.
type Settings struct {
	Bus       bus.Bus                 // heartbeats arrive on it
	Clock     func() time.Time        // nil: time.Now
	Volatile  *projections.Projection // of the VOLATILE stream; nil: namespaces go without looking there
	RootCA    []byte                  // PEM: the authority that signs the API server's certificate
	NodeGrace time.Duration           // how long a node may be silent; 0: nodelifecycle.Grace
	Authority certificates.Authority  // signs certificates; none: nobody does
	Review    certificates.Reviewer   // who may do what; nil: kubelets' requests wait for a person
	// Open gives a Secret with its values; nil: they aren't sealed.
	Open func(*corev1.Secret) (*corev1.Secret, error)
	// Token makes a service account's token for a Secret; nil: they aren't filled.
	Token     func(context.Context, *corev1.ServiceAccount, *corev1.Secret) (string, error)
	Intake    controllers.Intake // the way to APIs that are read; nil: there are no metrics
	PodRanges nodeipam.Ranges    // nodes without a pod range get one of these; none: they stay without
	ServiceLB bool               // services of type LoadBalancer get the addresses of nodes
	OwnPorts  []int32            // of the servers, that no such service gets
}

// Controllers makes all built-in controllers.
func Controllers(s Settings) []*controllers.Controller {
	if s.Clock == nil {
		s.Clock = time.Now
	}
	return append([]*controllers.Controller{
		deployment.New(),
		replicaset.New(),
		replicationcontroller.New(),
		statefulset.New(),
		job.New(),
		cronjob.New(),
		ttlafterfinished.New(),
		serviceaccount.New(),
		serviceaccount.NewRootCA(s.RootCA),
		endpointslice.New(),
		endpointslice.NewEndpoints(),
		garbage.New(),
		podgc.New(),
		disruption.New(),
		daemonset.New(),
		namespace.New(s.Volatile),
		nodelifecycle.New(nodelifecycle.NewBeats(s.Bus, s.Clock), s.NodeGrace),
		nodelifecycle.NewZones(),
		nodelifecycle.NewEviction(),
		nodelifecycle.NewPods(),
		clusterrole.New(),
		resourcequota.New(s.Volatile),
	}, slices.Concat(s.certificates(), s.secrets(), storage(), s.scaling())...)
}
