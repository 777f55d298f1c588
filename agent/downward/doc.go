// Package downward reads what a pod may know of itself: fields of its metadata,
// spec and status, and its containers' resources.
package downward
