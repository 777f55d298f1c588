// Package namespace empties a namespace that is being deleted, and lets it go.
//
//		DELETE ─► Terminating ─► its pods are deleted ─► everything else is ─► the finalizer
//		                         (with their grace)                            kubernetes goes
//
//	 1. Nothing else is deleted while a pod is left: what a pod needs to end in good
//	    order (its config, its network policy) is there until it has ended.
//	 2. The namespace goes when nothing is left in it, of any kind, in either
//	    stream.
//	 3. What can't be deleted doesn't keep others: it is tried last from then on.
//	 4. What holds the deletion up is told in the namespace's conditions, in
//	    Kubernetes' words. Counts in them are of when something last changed but counts.
package namespace
