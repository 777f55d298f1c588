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
//  6. A pod has only pods of lower priority go, only if it fits on their node then, and
//     none that needn't go for that. A disruption budget is overdrawn only if no
//     candidate does without. While its victims go, it has no others go.
//  7. No two claims get one device, as far as the scheduler's own view goes.
//  8. A gang's pods get nodes in one atomic batch of events as soon as enough of them fit at once,
//     and until then none does, whoever leads and whatever fails.
//
// Pods whose requirements are equal form a class. A class knows every node's score or
// refusal and only looks again at the nodes that changed since, so a
// Deployment of thousands of pods costs about as many node checks as it has pods.
//
// A filter says which nodes can't run a pod, a score which of the others is
// best; each is one file, named as Kubernetes names it.
//
// Rules between pods (affinity, anti-affinity, topology spread) ask how many pods of some kind
// are in a node's zone or other domain. topology counts them as pods come and go, for the
// rules that there are; an outlook is what these counts mean to one class, and a
// survey judges all nodes by it with a few additions each. Pods assumed on a node count.
// A label that no rule looks at tells no pods apart.
//
// A pod whose claims wait for a node (WaitForFirstConsumer) gets one and holds it,
// while the scheduler writes the node's name to its claims, or gives them volumes that
// are there, through the API. It is placed once they are bound.
//
// A pod that fits nowhere may have others of lower priority go for it (preemption): the
// least harm is looked for as Kubernetes' DefaultPreemption does, on those nodes only
// whose refusal pods that go can mend. The node is kept for the pod (nominatedNodeName),
// the victims are told why by an event preempted and deleted through the API, and the
// loop waits for none of that.
//
// A parked pod is looked at again when something changed that can help its class: a
// node has more room or became another, or, where rules between pods matter, a
// pod was placed. One pod of a class goes first, and the next follows when it was placed.
//
// A pod's resource claims get devices by Kubernetes' own allocator. The view takes
// the devices first, then the claims are written through the API while the pod holds its node, as with volumes;
// a write of which nobody knows whether it was stored keeps them, and is repeated as it was.
// What the allocator said of a node is kept by class until something changes there.
//
// What it doesn't do yet: it doesn't look at how much room a node's storage has; a gang doesn't
// preempt, and its volumes' claims must be bound before.
package scheduler
