package resourcequota

import corev1 "k8s.io/api/core/v1"

// serviceUsage adds a service's node ports and load balancer. A port counts before
// it is allocated: what is wanted decides.
func serviceUsage(service *corev1.Service, amounts corev1.ResourceList) {
	ports := int64(len(service.Spec.Ports))
	switch service.Spec.Type {
	case corev1.ServiceTypeNodePort:
		amounts[corev1.ResourceServicesNodePorts] = units(ports)
	case corev1.ServiceTypeLoadBalancer:
		if allocate := service.Spec.AllocateLoadBalancerNodePorts; allocate != nil && !*allocate {
			ports = 0
			for i := range service.Spec.Ports {
				if service.Spec.Ports[i].NodePort != 0 {
					ports++
				}
			}
		}
		amounts[corev1.ResourceServicesNodePorts] = units(ports)
		amounts[corev1.ResourceServicesLoadBalancers] = units(1)
	}
}
