// Package revision is the history of pod templates that StatefulSets and
// DaemonSets keep in ControllerRevisions: kubectl rollout history and undo read it.
//
//		Find ─► revisions, oldest first ─► Parent.Present ─► the template's own, or what makes it
//		                                └► Prune            ─► deletions of those that are too old
//
//	 1. A revision's data is the strategic merge patch that puts its template back,
//	    byte for byte as Kubernetes writes it, and so are its name and labels.
//	 2. A template that had a revision before gets that one again, with the newest
//	    number; no second one is made.
//	 3. A name that something else has is left to it: the parent's collision count
//	    goes up, and with it the hash differs.
//	 4. Prune never deletes a revision in use.
//
// All is pure: a snapshot in, intents out. A controller carries them out and goes on
// at its next reconcile. Its duties: it watches controllerrevisions with its kind's
// OfChild, adopts what that maps to itself (Selecting.Adopt), adopts Orphans for a
// parent it has not seen before, and keeps status.collisionCount.
package revision
