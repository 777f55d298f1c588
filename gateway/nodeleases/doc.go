// Package nodeleases shows the nodes' heartbeats as the Leases that tools look
// for in the namespace kube-node-lease.
//
//	beat.<node> (core NATS) ──► Heard ──► get, list, watch of Leases
//	                                          ▲
//	    Leases of outside programs (VOLATILE) ┘
//
// What a [Heard] promises:
//
//  1. Each node that exists and was heard since this server began has a Lease of
//     its name, renewed at the time of its last heartbeat.
//  2. No heartbeat becomes an event, in whichever stream.
//  3. A Lease that somebody wrote in that namespace goes before the one told.
//  4. A watch that asks for the state gets it once; then each heartbeat is one
//     MODIFIED, and the removal of a node one DELETED.
//
// What it doesn't do: a Lease that is told can't be changed or deleted; versions
// are those of the stream of Leases, and don't grow with heartbeats.
package nodeleases
