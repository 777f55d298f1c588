package events

// The types of events. [Types] says who writes each; docs/events.md has the
// checklist for a new one.
const (
	Created  = "created"  // the whole object
	Updated  = "updated"  // any other change
	Deleting = "deleting" // deletionTimestamp was set, finalizers or grace remain
	Deleted  = "deleted"  // the last word

	Scaled     = "scaled"     // an update that changes only spec.replicas
	Paused     = "paused"     // spec.paused became true
	Resumed    = "resumed"    // spec.paused became false
	Restarted  = "restarted"  // kubectl rollout restart
	RolledBack = "rolledback" // the pod template of an earlier revision

	Scheduled     = "scheduled"     // spec.nodeName
	Unschedulable = "unschedulable" // the PodScheduled condition
	Preempted     = "preempted"     // the pod makes room for another

	Reported   = "reported"   // a fact, status only
	Progressed = "progressed" // status, by the object's controller

	Joined    = "joined"    // a node registered
	Cordoned  = "cordoned"  // spec.unschedulable changed
	Lost      = "lost"      // the node's heartbeats stopped
	Recovered = "recovered" // they came back

	Bound    = "bound"    // a volume and a claim found each other
	Released = "released" // the claim is gone

	Elected = "elected" // a component's leadership; its sequence is the epoch
	Opened  = "opened"  // of a stream: its first event, so that positions start above 0
	Trimmed = "trimmed" // of the log: its history up to a position is removed
)

// Writer is the kind of component that writes an event type.
type Writer string

// The writers. WriterAgent stands for all who report facts: a node's agent,
// and a custom controller about its own resources.
const (
	WriterGateway     Writer = "gateway"
	WriterScheduler   Writer = "scheduler"
	WriterAgent       Writer = "agent"
	WriterControllers Writer = "controllers"
	WriterBus         Writer = "bus"
)

// Types is the closed vocabulary: each type with its one kind of writer. A
// publish of another type, or by another writer, is to be refused; the fold
// itself takes types that it doesn't know (a newer program wrote them).
var Types = map[string]Writer{
	Created:  WriterGateway,
	Updated:  WriterGateway,
	Deleting: WriterGateway,
	Deleted:  WriterGateway,

	Scaled:     WriterGateway,
	Paused:     WriterGateway,
	Resumed:    WriterGateway,
	Restarted:  WriterGateway,
	RolledBack: WriterGateway,

	Scheduled:     WriterScheduler,
	Unschedulable: WriterScheduler,
	Preempted:     WriterScheduler,

	Reported:   WriterAgent,
	Progressed: WriterControllers,

	Joined:    WriterGateway,
	Cordoned:  WriterGateway,
	Lost:      WriterControllers,
	Recovered: WriterControllers,

	Bound:    WriterControllers,
	Released: WriterControllers,

	Elected: WriterBus,
	Opened:  WriterBus,
	Trimmed: WriterBus,
}
