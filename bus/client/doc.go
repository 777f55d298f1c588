// Package client is the bus of a program that has nothing but an address and
// credentials: a custom controller.
//
//	Transport ─────► api.<identity>.conn      the Kubernetes API, over a tunnel
//	Do ────────────► api.<identity>.do        one request of it as one message
//	Follow ────────► api.<identity>.follow    objects, then events, over a tunnel
//	(other languages api.<identity>.log       events after a position, one message)
//	Log().Append ──► api.<identity>.fact.…    a fact about an object's status
//	Lead ──────────► api.<identity>.lead      a leadership, held while the tunnel is
//
// The gateway answers on all of them. NATS' permissions guarantee the identity,
// "controller:<namespace>:<name>"; it is the service account of that name, and
// RBAC decides the rest: who may list and watch a resource may follow its
// events, who may patch its status may report facts about it.
//
// What a [Log] promises:
//
//  1. Follow(1) yields first, in one slice, the objects that there are, each as
//     an event created at its version; then every event about them that had an
//     effect, in order. Folding that gives what the gateway's own fold holds.
//  2. A lost connection, a gateway that stops and a right that is missing for
//     now are waited out; nothing is left out and nothing comes twice.
//  3. Where what comes next has left the gateway's memory, Follow ends with an
//     error of class events.ErrGone, and Read(1) gives the objects that there
//     are now. A projection with projections.Volatile does that by itself.
//  4. [Log.Reach] brings the position up to a sequence without an event of the
//     resources followed: what a program wrote elsewhere can be waited for.
//
// Values of Secrets come sealed, as they are in the log; who may read them gets
// them through the API.
//
// What it doesn't do: it appends no decision (the API does), has no feed, no
// blobs and no access to JetStream.
package client
