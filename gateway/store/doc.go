// Package store gives Kubernetes' API server the log to live on: a
// [storage.Interface] per resource over bus.Log and projections.Projection.
//
//	registry ──Create/Update/Delete──► event ──► log.Append ──► fold ──► answer
//	registry ◄──Get/GetList────────── projections.Snapshot
//	registry ◄──Watch──────────────── Hub (one reader of projection.Changes)
//
// What a [Store] promises:
//
//  1. A write returns after its event is durable and folded; what it returns is
//     the object as the fold sees it at that event.
//  2. A write that changes nothing appends nothing.
//  3. A write is decided on one version of the object. If anything, decision or
//     fact, came in between, it is decided again; a caller that named a
//     resourceVersion gets the conflict that Kubernetes would give.
//  4. A read without resourceVersion sees everything acknowledged before it,
//     by whichever server.
//  5. A list is one position of the log; so are all pages of it.
//  6. A watch yields each effective change once, in order; an object that stops
//     matching is DELETED, one that starts is ADDED; void events are not seen. A
//     watcher that falls behind what is kept gets an error event, and its end.
//  7. Objects handed out are copies.
//  8. Under a context of [WithMoment] all reads see the log as it was at that
//     position; a list with an exact resourceVersion does so for any version in
//     the history, and a watch may begin at any.
//
// The resourceVersion is the sequence of the log: of LOG, or of VOLATILE for the
// resources kept there (Leases, Events). A time to live holds on VOLATILE only:
// a log that forgets nothing has no use for it, and ignores it.
//
// The caller's duties: run the [Factory] (it feeds the watches), and give keys
// of the form <resource prefix>/[<namespace>/]<name>.
package store
