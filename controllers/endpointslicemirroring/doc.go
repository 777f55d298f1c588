// Package endpointslicemirroring writes the EndpointSlices of services without a
// selector, whose Endpoints a person or a program keeps.
//
//		Endpoints ─► addresses by their ports and family ─► one slice each
//
//	 1. Endpoints are mirrored when their service has no selector. Those labelled
//	    endpointslice.kubernetes.io/skip-mirror=true and those of leader elections are not.
//	 2. At most 1,000 addresses of each list of ports are mirrored; what isn't an IP isn't. Both
//	    are told as news of the Endpoints.
//	 3. Slices carry the labels and annotations of the Endpoints, and go with them.
//	 4. Slices of others are left alone.
package endpointslicemirroring
