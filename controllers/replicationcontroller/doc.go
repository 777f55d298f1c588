// Package replicationcontroller keeps the number of pods that a
// ReplicationController asks for. It is package replicaset's Keeper, which looks at
// the object as a ReplicaSet: what that promises, this does.
package replicationcontroller
