// Package controllertest runs controllers without a gateway or nodes: [API] is
// the part of the Kubernetes API that controllers need, over any bus; [Nodes]
// pretend to schedule and run pods; [World] puts them together on the in-memory
// bus for tests under testing/synctest. [Transcript] writes down what happened.
//
//  1. API keeps the API's rules on names, uids, generations, finalizers,
//     grace periods, preconditions and propagation policies. It does no admission and no
//     validation, and defaults only what the built-in controllers rely on.
//  2. The same test gives the same transcript: names, uids and times are not random.
package controllertest
