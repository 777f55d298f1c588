// Package projections folds the log into tables that anybody can read without
// a lock, and tells what changed.
//
//	log.Follow ──► state.apply (one goroutine) ──► Snapshot   (O(1), immutable)
//	                                          └──► Changes    (event, old, new)
//
// What a [Projection] promises:
//
//  1. A [Snapshot] is the state at exactly one position, across all tables, and
//     never changes. Taking one costs nothing that grows with the state.
//  2. WaitFor(seq) returns when a Snapshot taken afterwards is at seq or later.
//  3. Changes yields every event from a position on, in order, with the object
//     before and after; a reader that falls behind the bounded buffer gets an
//     error of class events.ErrGone and reads a Snapshot again.
//  4. Folding from zero, from a checkpoint and live give the same state, byte
//     for byte ([Snapshot.Encode]).
//  5. Void events change nothing; they are counted and seen in Changes.
//
// The caller's duty: objects read from a snapshot are shared. Copy before you
// change one.
//
// What it doesn't do: it has no side effects, and never appends.
package projections
