// Package nodeipam gives nodes without a pod range one of the cluster's.
//
//		nodes ─► which ranges are taken ─► the first free one for each node without ─► spec.podCIDRs
//
//	 1. No two nodes get ranges that overlap. All ranges are given out in passes over one
//	    snapshot, one pass at a time, each after the last one's writes are folded; a
//	    former leader's writes are void.
//	 2. What a node registered with stays, inside of the cluster's ranges or not, and is taken.
//	 3. The range of a node that is deleted is free again.
//	 4. Nodes that came first are served first. When no range is left, nodes wait until
//	    one is free.
package nodeipam
