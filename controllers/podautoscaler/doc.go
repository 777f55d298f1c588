// Package podautoscaler scales workloads by their load: the HorizontalPodAutoscaler
// of autoscaling/v2.
//
//		HPA ─► its target's scale, in the snapshot ─► questions ─► Gauges ask the metrics APIs
//		                                                              │ every 15 s, one round each
//		     status ◄─ limits ◄─ stabilisation ◄─ replicas per metric ◄┘
//		        └──► the target's scale subresource
//
//	 1. The largest of what the metrics propose wins. Metrics that can't be had never
//	    lead to fewer replicas; if none can be had, nothing is scaled.
//	 2. Pods that have just started, aren't ready or have no metrics count as using nothing
//	    when there would be more replicas, and as using their share when there would be fewer.
//	 3. Between two rescales lie what spec.behavior says, or by default: up by at most a factor
//	    of two or four pods, down to the highest recommendation of the last five minutes.
//	 4. A rescale is told in the status only after it happened. It is based on the version of the
//	    target that was looked at: nobody else's scaling is overwritten.
//	 5. The metrics APIs are asked only while there are autoscalers, by the leader, and once more
//	    at once when an autoscaler's spec changes.
//	 6. Nothing is written when nothing differs.
//
// What it remembers (recommendations and rescales of the last minutes) is in memory
// only: a new leader begins with what the target has.
package podautoscaler
