// Package proxy makes services work on a node: it turns them and their endpoints
// into iptables rules.
//
//	feed ── Follow ──► SetService, SetSlice ──► Run ──► render (pure) ──► iptables-restore
//
//	PREROUTING, OUTPUT ─► RECKON-SERVICES ─► V (a service port): DNAT to one of its endpoints
//	                          └─► RECKON-NODEPORTS ─► X (from outside) ─► V or L (local endpoints)
//	POSTROUTING ─► RECKON-POSTROUTING, RECKON-HAIRPIN: masquerade where answers must come back here
//
// What it promises:
//
//  1. Rules follow the newest services and slices that it was told: the first change
//     at once, more in a row after at most the interval. One run of iptables-restore changes
//     all that changed together, so nobody sees half of it.
//  2. An endpoint gets new connections while it is ready. If no endpoint of a
//     service is, those that still serve while terminating get them. Connections that exist go on.
//  3. A service without endpoints refuses connections instead of losing them.
//  4. Starting again doesn't interrupt: rules of an earlier start stay until
//     [Proxy.Complete] says that all services are known.
//  5. A service that the kernel refuses rules for is left out, and logged; the others work.
//  6. [Proxy.Cleanup] removes all that it made. The chains' names carry the node's data
//     folder (by a hash), so several nodes can share a network namespace.
//
// It needs root, and works on the network namespace of the calling process.
//
// What it doesn't do: IPv6, topology hints, loadBalancerSourceRanges.
package proxy
