// Package loadbalancer gives services of type LoadBalancer an address in a cluster
// that has no cloud: those of its nodes.
//
//		service ─► its ports are free ─► the ready nodes' addresses ─► status.loadBalancer.ingress
//
//	 1. A service gets the external addresses of the ready nodes, or the internal ones of
//	    those that have none. With externalTrafficPolicy: Local it gets those of nodes with a
//	    ready endpoint. Nodes labelled node.kubernetes.io/exclude-from-external-load-balancers don't count.
//	 2. Of services that want the same port the oldest has it; the others have no address until it
//	    is free. Ports that the cluster itself listens on are never given away.
//	 3. A service that names a loadBalancerClass is somebody else's and isn't touched.
//	 4. The finalizer service.kubernetes.io/load-balancer-cleanup is on a service as long as it
//	    may have addresses; it goes when the service is deleted or changes its type.
//
// The nodes' proxies take in what is sent to these addresses.
package loadbalancer
