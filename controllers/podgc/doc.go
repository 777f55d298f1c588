// Package podgc removes pods that are over: what a node's agent has reported
// finished after its deletion, what was deleted before it was bound, what is bound to a
// node that isn't there any more or was declared dead, and the oldest of those that
// have ended, when there are too many.
//
//  1. A pod whose node is gone fails first, with the condition DisruptionTarget
//     (DeletionByPodGC), so that its Job can tell that from a failure of its own. A pod
//     with finalizers that nobody can end any more fails, too.
//  2. A node that is removed keeps its pods for 40 seconds: it may register again.
//     Those that are being deleted don't wait.
//  3. Ended pods are counted only in a cluster with more pods than may be kept,
//     and then every 20 seconds at most.
package podgc
