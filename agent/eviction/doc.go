// Package eviction decides, as a kubelet does, when a node is under pressure and
// which pod has to go. It is pure: what was measured and the time come in.
//
//		thresholds, observations, now ──► State.Look ──► Verdict: conditions, what is starved
//		                                                    │ pods, what they use
//		                                                    ▼
//		                                                  Rank ──► the first pod that isn't critical, Message
//
//	 1. A hard threshold counts at once, a soft one after its grace period without a break.
//	 2. A condition stays for the transition period after it was last seen.
//	 3. Once a threshold led to reclaiming, it holds until its minimum reclaim is there.
//	 4. Memory comes before everything else; one pod goes at a time.
//	 5. Critical pods (of the system priorities, static ones, mirrors) are never chosen.
package eviction
