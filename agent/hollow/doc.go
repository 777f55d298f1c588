// Package hollow runs the real agent with containers that are only pretended:
// for scale ("reckon hollow --nodes N") and for simulation.
//
// Each node has its own bus connection, feed, facts and heartbeats; only the
// runtime is replaced. A pretended container runs until it is stopped, or as
// the pod's annotations say:
//
//	hollow.reckon.dev/exit-after: 3s    the containers end after that time
//	hollow.reckon.dev/exit-code: "1"    with this code (0 unless said)
//	hollow.reckon.dev/exit-after.main: 3s, hollow.reckon.dev/exit-code.main: "1"    only the container main
//	hollow.reckon.dev/cpu: 250m         each uses this much (half of its request unless said)
//	hollow.reckon.dev/memory: 100Mi     and this (half of its limit, or 32Mi)
//
// An image of a registry below .invalid (registry.invalid/web:2) can't be pulled.
//
// No goroutine, file or socket belongs to a pretended container.
package hollow
