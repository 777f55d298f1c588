// Package garbage deletes what nobody owns any more, by owner references.
//
//		owner is gone             ─► its dependents are deleted (background)
//		owner has finalizer       ─► its dependents are deleted first; it goes when none
//		  foregroundDeletion          is left that blocks it
//		owner has finalizer       ─► its dependents lose their reference, then it goes
//		  orphan
//
//	 1. An object with several owners stays as long as one of them does; references
//	    to those that are gone are taken away.
//	 2. An owner counts as gone when no object has its uid, or when that object is in
//	    another namespace than its dependent; the latter is told as
//	    OwnerRefInvalidNamespace.
//	 3. An object in no namespace whose owner is of a kind that is in one stays:
//	    nothing tells which namespace was meant.
//	 4. Owners whose kind the log doesn't hold stay: nothing is known about them.
//	 5. Each delete names the uid and the version seen, so that an object that got an
//	    owner meanwhile stays.
//	 6. Objects that own each other don't wait for each other.
package garbage
