package gateway

import (
	"maps"

	"k8s.io/apimachinery/pkg/runtime/schema"
	controlplaneapiserver "k8s.io/kubernetes/pkg/controlplane/apiserver"
)

// apiPriorities is the order of API groups and versions in discovery, the one
// that kube-apiserver gives them: kubectl resolves short names in this order.
func apiPriorities() map[schema.GroupVersion]controlplaneapiserver.APIServicePriority {
	all := maps.Clone(controlplaneapiserver.DefaultGenericAPIServicePriorities())
	add := func(group string, priority int32, versions map[string]int32) {
		for version, order := range versions {
			all[schema.GroupVersion{Group: group, Version: version}] = controlplaneapiserver.APIServicePriority{Group: priority, Version: order}
		}
	}
	add("apps", 17800, map[string]int32{"v1": 15})
	add("autoscaling", 17500, map[string]int32{"v1": 15, "v2": 30})
	add("batch", 17400, map[string]int32{"v1": 15})
	add("networking.k8s.io", 17200, map[string]int32{"v1": 15, "v1beta1": 9})
	add("policy", 17100, map[string]int32{"v1": 15})
	add("storage.k8s.io", 16800, map[string]int32{"v1": 15, "v1beta1": 9, "v1alpha1": 1})
	add("scheduling.k8s.io", 16600, map[string]int32{"v1": 15, "v1beta1": 9, "v1alpha3": 3})
	add("node.k8s.io", 16300, map[string]int32{"v1": 15})
	add("resource.k8s.io", 16200, map[string]int32{"v1": 21, "v1beta2": 15, "v1beta1": 9, "v1alpha3": 1})
	add("lifecycle.k8s.io", 15700, map[string]int32{"v1alpha1": 1})
	return all
}
