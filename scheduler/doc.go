// Package scheduler decides on which node each pod runs.
//
//	projection ──Changes──► loop ──► cluster (nodes' free resources, kept up to date)
//	                         │           │
//	                         │       schedule(cluster, class) → placement     (pure)
//	                         ▼           │
//	                       queue ◄───────┴──► log: scheduled, unschedulable
//
// What it promises:
//
//  1. [Place], and schedule below it, are pure: the same cluster and pod give the same
//     placement, on every machine.
//  2. A placement never breaks a filter as far as the scheduler's own view goes:
//     what is bound in the log plus what it has itself appended and not seen folded yet.
//  3. A placement is appended with the expected last decision about the pod. An
//     append that fails, or is found void, gives its resources back, and the
//     pod is decided again.
//  4. An event unschedulable is appended once per change of the reasons, and
//     says them in Kubernetes' words. The pod is looked at again when its class
//     of pods fits somewhere, not before.
//  5. Pods go in order of priority, then age.
//
// Pods whose requirements are equal form a class. A class knows every node's score or
// refusal and only looks again at the nodes that changed since, so a
// Deployment of thousands of pods costs about as many node checks as it has pods.
//
// A filter says which nodes can't run a pod, a score which of the others is
// best; each is one file, named as Kubernetes names it.
//
// A pod whose claims wait for a node (WaitForFirstConsumer) gets one and holds it,
// while the scheduler writes the node's name to its claims, or gives them volumes that
// are there, through the API. It is placed once they are bound.
//
// What it doesn't do yet: it doesn't look at pod affinity and topology spread
// constraints of the pod's own, nor at how many volumes a node can have and how much room its
// storage has, and it doesn't preempt.
package scheduler
