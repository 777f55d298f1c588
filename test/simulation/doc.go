// Package simulation runs the whole control plane with hollow nodes on the
// in-memory bus, in virtual time, under faults that a seed decides.
//
//	users ─► API ─┐                                   ┌─► scheduler, controllers, nodefeed (×2)
//	nodes ─► facts┴─► network ─► LOG ─► checker       │
//	                     ▲  one step at a time  └─► projections (a, b, gateway)
//	                     └── seed: order, delay, loss, doubles, kills
//
// Every operation on the bus and every API request is a step of the network: it
// waits in one queue, gets its delay and its fate from the seed and from what it
// is (never from when it was asked for), and only when everything else in the
// bubble is blocked the next step is taken.
package simulation
