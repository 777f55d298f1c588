// Package endpointslice tells who answers for a Service: EndpointSlices, and for
// old clients Endpoints, that follow the readiness of the pods it selects.
//
//		service ─► pods that its selector matches ─► one endpoint each, per address family
//		                                         ─► packed into slices of at most 100, by ports
//
//	 1. An endpoint is ready when its pod is and isn't being deleted, or when the
//	    service publishes addresses that aren't ready. A pod whose node is gone has none.
//	 2. An endpoint stays in its slice as long as it can: a change rewrites as few slices as
//	    it touches.
//	 3. Services without a selector and of type ExternalName are left alone.
//	 4. Ready endpoints carry the hints that the service's trafficDistribution asks for,
//	    or, with the annotation service.kubernetes.io/topology-mode: Auto, hints that give
//	    each zone as many endpoints as it has of the nodes' processors. They stay as they
//	    are while no zone's endpoints have more than a fifth too much to do.
//	 5. A service with many pods is looked at less often ([controllers.Result.Quiet]).
//	 6. A slice says in the annotation endpoints.kubernetes.io/last-change-trigger-time
//	    since when what it tells is so: the earliest change of readiness that it took in.
package endpointslice
