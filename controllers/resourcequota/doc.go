// Package resourcequota tells in each ResourceQuota's status what the objects of
// its namespace use.
//
//		create ─► admission raises status.used, or refuses ─► the object
//		delete, end, shrink ─► this controller counts again ─► status.used falls
//
//	 1. What admission has let in is not taken back before it is there: used falls
//	    only when nothing was let in for a second. So clients that create at once
//	    never get past hard, however the two interleave. It rises at once.
//	 2. What was let in and then failed is given back after that second.
//	 3. Names are those of Kubernetes: pods with their requests and limits, services
//	    and their ports, claims by storage class, devices by class, and
//	    count/<resource>.<group> for every kind, custom ones too; scopes and scope
//	    selectors hold for pods and claims.
//	 4. A namespace is counted once for many changes: not again for a time that
//	    grows with what there is to count.
//
// What it doesn't do: it refuses nothing. That is the API's admission.
package resourcequota
