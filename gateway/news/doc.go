// Package news is the store of Events (core/v1 and events.k8s.io): what outside
// programs write through the API, kept in VOLATILE, and what the log's own
// events tell, which costs nothing until somebody reads it.
//
//	VOLATILE changes ─┐
//	                  ├─► Book (in memory, in order) ─► list, watch
//	LOG changes ──────┘
//	                    create, update ─► the store over VOLATILE
//
// What a [Book] promises:
//
//  1. A write returns after the book has it: a list that follows sees it.
//  2. Versions are the book's own. They grow over restarts, so a watch that
//     began before one gets 410 Gone and lists again; versions of two servers
//     can't be compared.
//  3. An event of the log with a reason is told as one Event; the same reason
//     and note about the same object again counts it up, as kubelet does.
//  4. Told Events are bounded in number and age ([Options]).
//  5. What the log told before the book was made is read when the first reader
//     comes: starting doesn't pay for it.
//  6. Under a context of store.WithMoment the Events are those that the log had
//     told then, bounded in number only; what outside programs wrote is in no
//     history.
//  7. Components, reasons, notes and types are Kubernetes': what the log calls
//     otherwise is translated here, and what Kubernetes wouldn't tell isn't told.
//
// What it doesn't do: a told Event can be deleted (from this book), not
// changed; limits of lists are ignored.
package news
