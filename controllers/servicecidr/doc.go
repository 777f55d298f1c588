// Package servicecidr looks after the ranges of service addresses.
//
//		ServiceCIDR ─► its finalizer ─► Ready ─► being deleted: no address would be left without a range ─► gone
//
//	 1. A range that is there is Ready, and carries networking.k8s.io/service-cidr-finalizer.
//	 2. A range that is being deleted stays, not Ready (Terminating), as long as an address of
//	    a service lies in it and in no other range.
//	 3. It goes ten seconds after its deletion at the earliest, so that nobody allocates from
//	    it any more.
//
// The addresses themselves are the gateway's: it allocates them, and repairs and
// removes those without a service.
package servicecidr
