// Package daemonset keeps one pod of a DaemonSet on each node that it is for.
//
//		template, nodes ─► runs on, may stay on ─► place ─► create, delete ─┐ none needed
//		revisions ─► hash                                                  └► roll: replace pods of another hash
//
//	 1. A pod is made for a node (its required node affinity names it) and bound to it
//	    by the scheduler. A node has at most one that isn't being deleted, with
//	    maxSurge two while one takes the other's place.
//	 2. Pods that serve are replaced only while no more than maxUnavailable nodes are
//	    without one; with maxSurge only once their successor is available.
//	 3. A pod that failed is deleted and replaced in one step, at once the first
//	    time; its successors wait 1, 2, 4 seconds and so on, 15 minutes at most, from
//	    their creation. How often that was so is an annotation of theirs.
//	 4. Taints with NoSchedule keep new pods away from a node; with NoExecute those
//	    that run, too.
//	 5. After a refused create it tries one pod at a time.
package daemonset
