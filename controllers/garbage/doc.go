// Package garbage deletes what nobody owns any more, by owner references.
//
//		owner is gone                      ─► its dependents are deleted (background)
//		owner has finalizer                ─► its dependents are deleted first; it goes when none
//		  foregroundDeletion                  is left that blocks it
//		owner has finalizer orphan         ─► its dependents lose their reference, then it goes
//
//	 1. An object with several owners stays as long as one of them does; references
//	    to those that are gone are taken away.
//	 2. An owner counts as gone when no object has its uid, or when that object is in
//	    another namespace than its dependent.
//	 3. Each delete names the uid and the version seen, so that an object that got an
//	    owner meanwhile stays.
package garbage
