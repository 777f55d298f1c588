// Package history serves questions about the past over HTTP, beside the
// Kubernetes API and behind the same authentication, authorization and audit.
//
//	GET  /history/v1/objects/{group}/{resource}/{namespace}/{name}   its events (?since= ?last=),
//	                                                                 ?version=WHEN: it as it was, ?diff=A..B: what differs
//	GET  /history/v1/why/{group}/{resource}/{namespace}/{name}       why it is as it is, ?field=
//	GET  /history/v1/trace/{group}/{resource}/{namespace}/{name}     the same as OTLP/JSON
//	GET  /history/v1/undo/{group}/{resource}/{namespace}/{name}      a plan to bring a version back, ?to=
//	POST /history/v1/undo/{group}/{resource}/{namespace}/{name}      does it, ?to= &resourceVersion=
//	GET  /history/v1/diff?from=WHEN&to=WHEN&namespace=               what differs in the cluster
//
// The core group is "core", the namespace of a cluster-scoped object is "_". WHEN
// is a moment of package projections/history. Answers are the types of that
// package as JSON, errors are metav1.Status.
//
// What it promises:
//
//  1. Who asks about an object must be allowed to get it ([Resolver] makes the
//     request one of the API's), for a namespace's difference to list everything
//     in it, for the cluster's to get the URL. The past needs the same rights as
//     the present has, as of now.
//  2. Events of other objects that lead to an answer are blanked unless who asks
//     may get those too.
//  3. Values of Secrets are never shown.
//  4. An undo is a write of the user's own through the API: admission, quota and
//     validation hold, and a version that changed meanwhile is a conflict. What
//     it undoes is the cause of its event.
package history
