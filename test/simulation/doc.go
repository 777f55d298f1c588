// Package simulation runs the whole control plane with hollow nodes on the
// in-memory bus, in virtual time, under faults that a seed decides.
//
//	users ─► API ─┐                                   ┌─► scheduler, controllers, nodefeed (a and b)
//	nodes ─► facts┴─► network ─► LOG ─► checker       │
//	                     ▲  one step at a time  └─► projections (a, b, gateway)
//	                     └── seed: order, delay, loss, doubles, kills
//
// Real are: projections and their checkpoints, the scheduler, all built-in
// controllers, the node feed, the agents. Twins are: the log (bus/memory), the
// runtime (agent/hollow) and the API (controllers/controllertest: no admission,
// no validation). The network is this package's: every operation on the bus and every API
// request is a step, which gets its delay and its fate from the seed and from
// what it is, never from when it was asked for. The next step is taken only when
// everything else in the bubble is blocked.
//
// What a passing seed says:
//
//  1. After every step: no pod runs on two nodes, none where the log doesn't
//     bind it, and the pods that run on a node request no more than it has, though
//     users bind pods by hand beside the scheduler. This is read from the
//     runtimes, whatever the log says.
//  2. After every event: no event of a replaced leader had an effect, and no
//     pod's node changed.
//  3. Every replica that stands at a position that the checker saw (every eighth) has the
//     same bytes ([projections.Snapshot.Encode]) as the checker there. In the end all have, and so
//     have a fold from zero and one from the newest checkpoint.
//  4. Each append that was acknowledged is in the log under its sequence, and
//     each write that the API said yes to was not void.
//  5. Within 20 minutes after the last fault all deployments, stateful sets,
//     daemon sets and jobs are as their spec says, no pod waits or is being deleted, no
//     node has a taint, and exactly the pods that the log calls running run; and it
//     stays so for a minute. No two pods of one ordinal ran at once, no job had
//     more active pods than it may, and each of its pods is counted once.
//  6. From every container's start the causes lead back to what a user asked for,
//     in the trace of one such event; everything a component decided is in a trace.
//  7. Two runs give the same log: every event with its sequence, time, subject,
//     headers and data, byte for byte, but for ids, causes and traces.
//
// On 7: ids are random in the components, so the network replaces them by numbers
// in the order of storing. ce-cause, and ce-traceparent with it, are left out: a controller's worker may begin
// between two events of one slice that concern its key, and then names only the
// first. Steps make goroutines of different components independent of each
// other. Within one component (the workers of an agent that are all woken by the
// same message, or by timers of the same instant, which testing/synctest fires in any order) Go's
// scheduler decides, so what must not depend on it is put in order: what an instant
// brings to the feed, and the facts of a node's moment. The runs use one
// processor and collect no garbage in between; even so a thread that the machine stops
// for long has other goroutines go first.
//
// Not simulated: a log that loses its end, trimming, batches' partial failures
// (there are none), VOLATILE, tunnels, clocks that disagree, forced deletions,
// preemption, and the gateway's own code.
package simulation
