// Package network gives a node's pods their network: a bridge, addresses out of
// the node's pod range, and the way out.
//
//	pod ── veth ──┐
//	pod ── veth ──┴─ bridge (gateway of the pod range) ── node ── masqueraded ──► elsewhere
//
// What it promises:
//
//  1. [Setup] is idempotent: it makes what is missing and changes what differs. A
//     node that starts again keeps its pod range.
//  2. All that it makes carries the node's data folder in its name (by a hash), so several
//     nodes can share a machine, and even a network namespace.
//  3. [Teardown] removes all of it, and the interfaces of pods that are left,
//     also when Setup was interrupted.
//
// It works on the network namespace of the calling process, needs root,
// iptables and the CNI plugins bridge, host-local and portmap (containerd
// brings up a pod's loopback itself).
//
// What it doesn't do: services (package proxy), network policy, and routes to
// the pods of other nodes.
package network
