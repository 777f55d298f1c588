package resourcequota

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// source is a resource whose objects are counted.
type source struct{ group, resource string }

var (
	pods     = source{"", "pods"}
	services = source{"", "services"}
	claims   = source{"", "persistentvolumeclaims"}
	devices  = source{"resource.k8s.io", "resourceclaims"}
	leases   = source{"coordination.k8s.io", "leases"}
)

// Prefixes and suffixes of names that a quota limits.
const (
	countPrefix        = "count/"
	requestsPrefix     = corev1.DefaultResourceRequestsPrefix
	storageClassInfix  = ".storageclass.storage.k8s.io/"
	deviceClassSuffix  = corev1.ResourceClaimsPerClass
	deviceClassPrefix  = "deviceclass.resource.kubernetes.io/"
	requestsDeviceName = requestsPrefix + deviceClassPrefix
)

// named are the names that say nothing of what they count but this.
var named = map[corev1.ResourceName]source{
	corev1.ResourcePods: pods, corev1.ResourceCPU: pods, corev1.ResourceMemory: pods, corev1.ResourceEphemeralStorage: pods,
	corev1.ResourceRequestsCPU: pods, corev1.ResourceRequestsMemory: pods, corev1.ResourceRequestsEphemeralStorage: pods,
	corev1.ResourceLimitsCPU: pods, corev1.ResourceLimitsMemory: pods, corev1.ResourceLimitsEphemeralStorage: pods,
	corev1.ResourceServices: services, corev1.ResourceServicesNodePorts: services, corev1.ResourceServicesLoadBalancers: services,
	corev1.ResourcePersistentVolumeClaims: claims, corev1.ResourceRequestsStorage: claims,
	corev1.ResourceConfigMaps:             {"", "configmaps"},
	corev1.ResourceQuotas:                 {"", "resourcequotas"},
	corev1.ResourceReplicationControllers: {"", "replicationcontrollers"},
	corev1.ResourceSecrets:                {"", "secrets"},
}

// sourcesOf gives the resources that a name counts; none: nobody knows it.
func sourcesOf(name corev1.ResourceName) []source {
	n := string(name)
	if s, ok := named[name]; ok {
		return []source{s}
	}
	if what, ok := strings.CutPrefix(n, countPrefix); ok {
		resource, group, _ := strings.Cut(what, ".")
		if resource == "events" && (group == "" || group == "events.k8s.io") {
			return nil // never limited
		}
		return []source{{group, resource}}
	}
	class, kind, ok := strings.Cut(n, storageClassInfix)
	switch {
	case ok && class != "" && (kind == string(corev1.ResourcePersistentVolumeClaims) || kind == string(corev1.ResourceRequestsStorage)):
		return []source{claims}
	case strings.HasSuffix(n, deviceClassSuffix):
		return []source{devices}
	case strings.HasPrefix(n, corev1.ResourceHugePagesPrefix), strings.HasPrefix(n, corev1.ResourceRequestsHugePagesPrefix):
		return []source{pods}
	case strings.HasPrefix(n, requestsDeviceName), strings.HasPrefix(n, requestsPrefix) && !native(n):
		return []source{pods, devices}
	}
	return nil
}

// counts gives the names under which every object of a source counts as one.
func (s source) counts() []corev1.ResourceName {
	name := countPrefix + s.resource
	if s.group != "" {
		name += "." + s.group
	}
	all := []corev1.ResourceName{corev1.ResourceName(name)}
	if alias := corev1.ResourceName(s.resource); s.group == "" && named[alias] == s {
		all = append(all, alias)
	}
	return all
}

// native reports a name that isn't an extended resource's.
func native(name string) bool {
	return !strings.Contains(name, "/") || strings.Contains(name, corev1.ResourceDefaultNamespacePrefix)
}

func add(into corev1.ResourceList, amounts corev1.ResourceList) {
	for name, n := range amounts {
		if had, ok := into[name]; ok {
			had.Add(n)
			into[name] = had
		}
	}
}

func has(all []source, s source) bool { return slices.Contains(all, s) }
