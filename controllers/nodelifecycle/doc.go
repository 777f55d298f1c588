// Package nodelifecycle notices nodes that are lost and come back, and what that
// means for their pods.
//
//		beat.<node> ─► Beats ─► silent for the grace period ─► lost: conditions Unknown, taints unreachable
//		                    └─► heard again                 ─► recovered: conditions as before, taints gone
//		conditions, spec.unschedulable ─► taints NoSchedule, at once
//		zones of nodes that aren't ready ─► taint NoExecute, one node at a time
//		taint NoExecute ─► pods that don't tolerate it, or not for longer, are marked and deleted
//
//	 1. Heartbeats aren't in the log; lost and recovered are, and each carries
//	    conditions and taints at once, but for the one that sends pods away.
//	 2. A fact that slips in voids lost: the node is alive.
//	 3. After a change of leader every node has a whole grace period again.
//	 4. Pods of a lost node are marked not ready, so that services leave them out.
//	 5. In a zone a node gets its taint NoExecute every ten seconds. Where most are
//	    down that is slower or stops; where all nodes of the cluster are down those
//	    taints are taken back. All this follows from the nodes alone: a new leader
//	    goes on where the last one was.
//	 6. A pod that tolerates a taint for a time has that time from when the taint came,
//	    or the pod, whichever was later. If the taint goes in time, that is told.
package nodelifecycle
