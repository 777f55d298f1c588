package gateway

import (
	"sync"

	genericfeatures "k8s.io/apiserver/pkg/features"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/client-go/rest"
	"k8s.io/component-base/featuregate"
)

// setFeatures sets the process-wide feature gates once. Two default gates keep
// a Lease per server fresh every ten seconds so that servers of different
// versions find each other through etcd; ours find each other on the bus.
var setFeatures = sync.OnceValue(func() error {
	rest.SetDefaultWarningHandler(rest.NoWarnings{})
	return utilfeature.DefaultMutableFeatureGate.SetFromMap(map[string]bool{
		string(featuregate.Feature(genericfeatures.APIServerIdentity)):                   false,
		string(featuregate.Feature(genericfeatures.UnknownVersionInteroperabilityProxy)): false,
	})
})
