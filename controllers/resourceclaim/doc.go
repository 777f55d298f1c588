// Package resourceclaim looks after the claims of devices that pods make (dynamic
// resource allocation).
//
//		pod that names a template ─► a ResourceClaim of its own ─► its name in the pod's status
//		pod on a node             ─► an allocated claim that it uses is reserved for it
//		pod done or gone          ─► no reservation ─► last one: no allocation ─► the pod's own claim is deleted
//
//	 1. A pod gets one claim per entry that names a template; one that is found is used
//	    before another is made, and one that was deleted is made again.
//	 2. Reservations go only when their pod is gone, was replaced or won't run any more. With the last
//	    one goes the allocation, so that the next pod may use the claim elsewhere.
//	 3. A claim that a pod got is deleted when nobody uses it and the pod is done.
//	 4. A claim that is being deleted loses its allocation and its finalizer once nobody uses it.
//
// Allocation is the scheduler's, and so are the reservations of pods that it binds.
package resourceclaim
