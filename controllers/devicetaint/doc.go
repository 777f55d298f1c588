// Package devicetaint removes pods whose devices have a taint NoExecute that their
// claims don't tolerate.
//
//		taints of a ResourceSlice's device ┐
//		DeviceTaintRule ───────────────────┴─► allocated claims ─► their pods ─► marked, deleted
//
//	 1. A taint counts from its timeAdded; of several tolerations the shortest counts,
//	    and one without an end outdoes them all.
//	 2. A pod is removed only if it has a node and one of its claims is reserved for it:
//	    a pod that has another's name stays.
//	 3. Of a pool's slices those of its newest generation count. A rule concerns a device
//	    whether a slice has it or not.
//	 4. That a removal is called off is told.
package devicetaint
