// Package podgc removes pods that are over: what a node's agent has reported
// finished after its deletion, what was deleted before it was bound, and what is
// bound to a node that isn't there any more.
package podgc
