// Package history answers questions about the past: what happened to an
// object, what differs between two moments, and why something is as it is.
//
//	ParseMoment ──► Moment.Position ──► a position of the log
//	Reader.Object  ──► Life       every event of a name, what each changed ──► Life.PlanUndo
//	Reader.Between ──► Difference what differs in the cluster
//	Reader.Why     ──► Answer     the tree of events from an intent to facts ──► Trace
//
// What it promises:
//
//  1. A [Moment] is a sequence, an RFC 3339 time or an age, written the same on
//     every command and URL, and resolves to the position that the log had then.
//  2. A moment before the history that is kept is an error of class
//     events.ErrGone that says where the history begins; one in the future is
//     of class events.ErrInvalid and says where the log ends.
//  3. An object's history is read by its own events (and leaderships) only, and
//     is what the fold of the whole log has: the same voids, the same versions. An
//     object older than the history begins with the version that the checkpoint
//     at its edge has ([Known]).
//  4. Nothing in an [Answer] is guessed: an event hangs under one that it names as
//     its cause, or the answer says that no cause is recorded. Of several causes
//     what somebody outside wanted goes first, then decisions, then reports.
//  5. Values of Secrets are in none of the answers.
//  6. The same log gives the same answers, and the same ids of spans.
//
// Answers are values with JSON names, and write themselves for people (Write).
//
// The caller's duties: to ask only what may be asked (package gateway/history
// authorises), and a Projection of the same log that runs.
//
// It appends nothing.
package history
