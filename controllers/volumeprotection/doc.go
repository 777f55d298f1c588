// Package volumeprotection keeps claims that pods use and volumes that claims
// use from going away when they are deleted.
//
//  1. A claim has the finalizer kubernetes.io/pvc-protection until it is deleted and
//     no pod that has a node uses it: a pod that has none won't get one any more.
//  2. A volume has kubernetes.io/pv-protection until it is deleted and not Bound.
//  3. A VolumeAttributesClass has kubernetes.io/vac-protection until it is deleted and
//     no claim or volume names it.
//  4. Pods are looked through only for claims that are being deleted, once for all
//     of a namespace.
package volumeprotection
