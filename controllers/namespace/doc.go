// Package namespace empties a namespace that is being deleted, and lets it go.
//
//	DELETE ─► Terminating ─► all objects in it are deleted ─► none is left ─► the finalizer
//	                         (pods with their grace)                          kubernetes goes
//
// What holds the deletion up is told in the namespace's conditions, as on Kubernetes.
package namespace
