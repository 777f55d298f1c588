// Package statefulset keeps the pods that a StatefulSet asks for: one of each
// ordinal, with a name, a place in DNS and claims that outlive it.
//
//		revisions of the template ─► pods and claims by ordinal ─► scaling down ─► the rollout ─► status
//
//	 1. There is at most one pod of an ordinal: its name is its identity, and a
//	    pod is made only after the one before it is gone.
//	 2. Under OrderedReady a pod is made when all below it are available; pods above
//	    the size go one at a time, highest first, when all that stay are available.
//	 3. A rollout deletes pods from the highest ordinal down to the partition, and never one
//	    that is available where that leaves more than maxUnavailable without.
//	 4. A pod below the partition is made from the current revision, others from the
//	    update's. A rollout stuck on a pod that never becomes ready waits for it,
//	    even if the template is changed back, as on Kubernetes.
//	 5. A pod is made only when its claims exist, and never on claims that go away
//	    with an earlier pod. Claims go as persistentVolumeClaimRetentionPolicy says:
//	    by owner references, through garbage collection.
//	 6. Nothing is polled: claims, revisions and pods that hold a name which is
//	    wanted wake the set when they change.
//	 7. What goes wrong is told once per reason, for as long as it lasts: the annotation
//	    reckon.dev/told says what was.
package statefulset
