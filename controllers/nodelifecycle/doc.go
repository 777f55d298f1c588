// Package nodelifecycle notices nodes that are lost and come back, and what that
// means for their pods.
//
//		beat.<node> ─► Beats ─► silent for the grace period ─► lost: conditions Unknown, taints unreachable
//		                    └─► heard again                 ─► recovered: conditions as before, taints gone
//		conditions, spec.unschedulable ─► taints
//		taint NoExecute ─► pods that don't tolerate it, or not for longer, are deleted
//
//	 1. Heartbeats aren't in the log; lost and recovered are, and each carries
//	    conditions and taints at once.
//	 2. A fact that slips in voids lost: the node is alive.
//	 3. After a change of leader every node has a whole grace period again.
//	 4. Pods of a lost node are marked not ready, so that services leave them out.
package nodelifecycle
