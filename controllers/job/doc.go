// Package job runs pods to completion as a Job asks for: so many at once, so
// many in all, each index once, with back-off, policies for failure and success,
// and suspension.
//
//		pods ─► count ─► decide (failed? succeeded?) ─► manage (create, delete) ─► status, finalizers
//
//	 1. Each pod that ends is counted exactly once, in status.succeeded or
//	    status.failed, whoever deletes it when. Its finalizer
//	    batch.kubernetes.io/job-tracking keeps it until it is written in the status that
//	    it counts: by its uid in status.uncountedTerminatedPods, by its index in
//	    status.completedIndexes, or because the Job is finished. Only what is folded
//	    counts as written, so each of the two writes may fail or come twice.
//	 2. The last pods of a Job take one write: their count and the Job's end are the
//	    same event. Their finalizers go after it; a finished Job counts nothing.
//	 3. Never more than spec.parallelism pods are active because of this controller.
//	 4. Pods that go because of suspension, of fewer parallel pods or because the
//	    success policy is met don't count: they lose their finalizer first, then they
//	    are deleted.
//	 5. Back-off is 10 s after the first failure, and doubles up to 6 minutes. It is
//	    read from the failed pods that are still there: pods that were removed since
//	    hold nothing up. Per index it is read from the pod that is to be replaced, which
//	    keeps its finalizer until it is.
//	 6. What only makes status.ready another is written two seconds later at the
//	    latest, so that a short pod doesn't cost a write for it.
//
// A Job that spec.managedBy gives to somebody else is not looked at, nor are its pods.
package job
