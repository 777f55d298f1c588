// Package disruption says how many pods of each PodDisruptionBudget may be
// evicted now. The eviction subresource of the API takes from that number; this
// controller sets it anew whenever pods become ready, fail, come or go.
//
//		pods, owners' scales ─► desired, healthy ─► status.disruptionsAllowed
//		evictions ─► disruptionsAllowed - 1, disruptedPods[pod] ─► (pod deleted, or two minutes over) ─► counted anew
//
//	 1. The status is written on the version that it was computed from: one that an
//	    eviction has changed since is computed again. So an eviction is never
//	    forgotten, and two never share one disruption.
//	 2. A pod that an eviction was allowed for counts as gone, until it is or
//	    two minutes have passed.
//	 3. What can't be computed allows no eviction; the condition says why.
//	 4. Pods marked as targets of a disruption that didn't come within two minutes
//	    lose that mark.
package disruption
