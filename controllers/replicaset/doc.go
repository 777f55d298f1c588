// Package replicaset keeps the number of pods that a ReplicaSet asks for: it
// creates, deletes, adopts and releases pods, and writes the ReplicaSet's status.
//
//  1. It counts active pods: not finished, not being deleted.
//  2. Which pods go first is rank's order, as on Kubernetes.
//  3. A pod's name is decided here, so that a create whose answer was lost can't
//     make a second pod under the same decision.
//  4. After a refused create it tries one pod at a time, and says why in the
//     condition ReplicaFailure; so it does with a refused delete.
//
// [Keeper] does the same for other kinds that ask for a number of pods.
package replicaset
