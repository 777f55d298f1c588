// Package deployment rolls a Deployment's pod template out over ReplicaSets.
//
//		template ─► the ReplicaSet of that template (hash in its name) ─► scaled up  ┐ within maxSurge and
//		            older ReplicaSets                                 ─► scaled down ┘ maxUnavailable
//
//	 1. The sum of the ReplicaSets' replicas never goes above replicas+maxSurge by a
//	    decision made here, and pods counted as available never below replicas-maxUnavailable.
//	 2. A ReplicaSet's status that lags behind its spec counts with the smaller of both.
//	 3. Revisions are the annotations that kubectl rollout reads and undoes.
//	 4. Conditions and their reasons are those that kubectl rollout status waits for.
package deployment
