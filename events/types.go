package events

// The types of events. Each has exactly one kind of writer; docs/events.md has
// the checklist for a new one.
const (
	Created  = "created"  // gateway: the whole object
	Updated  = "updated"  // gateway
	Deleting = "deleting" // gateway: deletionTimestamp was set, finalizers or grace remain
	Deleted  = "deleted"  // gateway: the last word

	Scaled     = "scaled"     // gateway: an update that changes only spec.replicas
	Paused     = "paused"     // gateway: spec.paused became true
	Resumed    = "resumed"    // gateway: spec.paused became false
	Restarted  = "restarted"  // gateway: kubectl rollout restart
	RolledBack = "rolledback" // gateway: the pod template of an earlier revision

	Scheduled     = "scheduled"     // scheduler: spec.nodeName
	Unschedulable = "unschedulable" // scheduler: the PodScheduled condition
	Preempted     = "preempted"     // scheduler

	Reported   = "reported"   // agent, custom controllers: a fact, status only
	Progressed = "progressed" // the object's controller: status

	Joined    = "joined"    // gateway: a node registered
	Cordoned  = "cordoned"  // gateway: spec.unschedulable changed
	Lost      = "lost"      // node controller: the node's heartbeats stopped
	Recovered = "recovered" // node controller: they came back

	Bound    = "bound"    // volume controller
	Released = "released" // volume controller

	Elected = "elected" // bus: a component's leadership; its sequence is the epoch
)
