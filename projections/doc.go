// Package projections folds the log into tables that anybody can read without
// a lock, tells what changed, and knows the past.
//
//	log.Follow ──► state.apply (one goroutine) ──► Snapshot     (O(1), immutable)
//	                    ▲                     └──► Changes      (event, old, new)
//	                    │ Restore             └──► checkpoints  (every N events)
//	               checkpoints ──► At, History: any position that is kept
//
// What a [Projection] promises:
//
//  1. A [Snapshot] is the state at exactly one position, across all tables, and
//     never changes. Taking one costs nothing that grows with the state.
//  2. WaitFor(seq) returns when a Snapshot taken afterwards is at seq or later.
//  3. Changes yields every event from a position on, in order, with the object
//     before and after. What is no longer in memory is folded again from the
//     log, so neither an old position nor a slow reader misses anything within
//     the history that is kept; with [BufferOnly] it is an error of class
//     events.ErrGone instead, and the reader reads a Snapshot again.
//  4. Folding from zero, from a checkpoint and live give the same state, byte
//     for byte ([Snapshot.Encode]).
//  5. Void events change nothing; they are counted and seen in Changes.
//  6. While the log reaches back to its beginning checkpoints are a cache. Once
//     it is trimmed, the checkpoint at its edge is the beginning: Trim makes
//     sure that it and another one are readable first, and says so in the log
//     ([events.Trimmed]), so that all folds forget the same at the same position.
//  7. A damaged checkpoint is passed over, named in the logger's words, and made
//     again from the log where an older one or the log's beginning allows it;
//     one that doesn't belong to the log is refused.
//  8. A state of the past is never far: the last changes in memory have a
//     snapshot every 1,024 events; of the newest 30×Every events (1,500,000)
//     checkpoints stay at most 2×Every apart, further back 17×Every. A past
//     state shares with the present what they have in common.
//  9. Every event folded, void ones too, goes into a hash chain
//     ([Snapshot.Chain]), which checkpoints hold and, with [Signer], sign.
//     [Verify] folds again and says what was tampered with, and where; an
//     [Anchor] kept elsewhere lets it see that the newest part was cut off. A
//     checkpoint of format 1 has no chain: there it begins at that checkpoint.
//  10. Verify compares, at every checkpoint and anchor, the chain; at every
//     checkpoint also its seal (SHA-256 of the state as it is stored), the seal's
//     signature, and the state that the log gives: encoded whole, every object
//     and tombstone, it must have the seal's checksum. An object that is at the
//     same address as in the state compared before isn't encoded again: objects
//     never change. With [AskLive] it compares chain and state of a running
//     server in the same way.
//
// A projection of VOLATILE ([Volatile]) gives 1, 2, 3 (with BufferOnly) and 5:
// that log forgets by itself, so two folds of it agree on the objects only. One
// that falls so far behind that what it misses has expired goes on from the
// present values.
//
// The caller's duties: objects read from a snapshot are shared, copy before you
// change one. Call Restore before Run, and Run once. One process trims.
//
// What it doesn't do: it decides nothing, and appends nothing but [events.Trimmed].
// Secrets are sealed and opened elsewhere (package sealed).
package projections
