// Package server embeds a NATS server with JetStream and makes what it stores
// durable.
//
//	Start ─► lock Dir ─► nats-server ─► streams ─► check against the mark ─► Connect
//	                                       │
//	  Append ─► JetStream ack ─► committer ┴─► one fdatasync for all that wait ─► answer
//
// What it promises:
//
//  1. On a single server with Durability Strict an append is answered after an
//     fdatasync of the block files that hold it. One sync serves all appends that
//     were stored when it began; the next ones collect meanwhile. In a cluster
//     JetStream syncs its Raft log before it acknowledges.
//  2. All connections share one durable position, and readers get nothing above
//     it. A reader who meets an event that isn't durable yet has it synced first.
//     Programs on other machines publish to JetStream directly and then ask on
//     bus.DurableSubject: the same committer serves them.
//  3. A failed sync, or a failed write of a stream, ends the process
//     (Options.OnSyncFailure) and is never tried again.
//  4. At start the log must be whole up to the mark of the last sync.
//  5. A connection as node:<name> may hand in its own facts, publish its heartbeat and API
//     calls, and read its own feed and the one for all nodes; the server reads for it (see reader.go), it has
//     no access to JetStream's API. That holds in process too.
//  6. On a single server appends are refused (ErrUnavailable, naming the folder)
//     before the disk is full, and go on when there is space; reads always do.
//  7. An answer to a restricted identity goes to its own inbox and nowhere else:
//     its facts come in on put.<identity>.> (bus.ServePuts), never by its own
//     publication into a stream.
//
// Readers in this process who are far behind get the log from its block files
// (block_read.go), which is three times as quick as a consumer.
//
// With Durability Fast events are synced every 100 ms: a power cut takes that much.
package server
