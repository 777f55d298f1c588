// Package volumebinding brings claims and volumes together.
//
//	claim ──► a volume that fits (the smallest), or that was made for it
//	            │ 1. bound, on the volume: its claimRef
//	            ▼
//	          2. bound, on the claim: its volumeName, and the phase Bound
//
//	 1. A volume's claimRef decides. It is written on the version of the volume that
//	    was seen, so of two claims that want one volume the second is void and
//	    looks again. What ended between the two halves is finished by the next look.
//	 2. A claim whose class waits for its first consumer is bound only to a volume that
//	    names it (the scheduler or a user wrote that), or to one made for
//	    it on the node that the scheduler selected.
//	 3. A claim without a volume is given to its class' provisioner by the annotation
//	    volume.kubernetes.io/storage-provisioner; the volume is made by who reads that.
//	 4. A volume whose claim is gone is Released. Its policy is carried out by its
//	    provisioner; nobody's volumes with the policy Delete become Failed.
//	 5. A claim that waits says why once per reason: the annotation reckon.dev/told
//	    remembers what was said.
package volumebinding
