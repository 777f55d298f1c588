// Package gateway serves the Kubernetes API over the log.
//
//	HTTPS ───────────┐
//	api.*.conn (bus) ┼─► handler chain ─► registries ─► store.Interface ─► log
//	in process ──────┘   (authn, authz,    (defaulting,   (reads from the
//	                      admission)        validation)    projection)
//
// The server is Kubernetes' own, put together from the parts of k8s.io/kubernetes;
// only the store below its registries, the core group's allocators, the ways in
// and the connection to nodes are ours (docs/adr/001-gateway-assembly.md).
//
// What a [Server] promises:
//
//  1. Every way in passes the same handler chain: who asks is learnt from the
//     certificate or token (HTTPS), from the subject that was dialled (bus) or
//     from the caller (in process), and everything after that is the same.
//  2. An accepted write is a durable event before it is answered.
//  3. Where a write came from (cause, reason, note, epoch, component) is taken
//     from the headers named in this package, from callers in process (all of
//     them) and administrators on the bus (the words, not the leadership); a
//     traceparent is taken from anybody.
//  4. Keys and certificates live under one directory, are made once, and are
//     renewed at a start that finds them close to their end.
//  5. Requests to a node (logs, exec, attach, port-forward, proxy) leave through
//     the node's tunnel on the bus: no node needs an open port.
//  6. Under /at/<when>/ the same API shows the past, read-only (package past).
//
// The caller's duty: run the projections given in [Options], call Run once, and
// give the in-process transport only to trusted code.
//
// What it doesn't do: it schedules nothing and runs no controller beyond those
// that a kube-apiserver itself needs to be an API.
package gateway
