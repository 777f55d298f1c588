// Package bootstrap looks after the tokens with which machines join a cluster.
//
//  1. The config map cluster-info in kube-public carries, for each bootstrap token
//     in kube-system that may sign, a signature of its kubeconfig: who has the token
//     can tell that the cluster is the right one. Signatures of other tokens go.
//  2. A token is deleted when its time has come.
//
// It doesn't make cluster-info: the gateway does at its start.
package bootstrap
