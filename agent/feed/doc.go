// Package feed keeps what the node feed said: the pods of this node, the config
// maps and secrets they use, and the services.
//
//  1. A value older than what is known (by leadership epoch, then log position)
//     is ignored.
//  2. Only a tombstone, or a completed manifest newer than the pod that doesn't
//     name it, makes a pod go: absence never does.
package feed
