// Package shutdown says in which order a node's pods end when the node is shut
// down: the lower a pod's priority, the earlier.
package shutdown
