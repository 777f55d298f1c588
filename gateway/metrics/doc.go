// Package metrics serves metrics.k8s.io/v1beta1: what nodes and pods use, for
// kubectl top and the HorizontalPodAutoscaler.
//
//		usage.<node> (core NATS, every 15 s) ─► Book: the newest, and one a minute for ten minutes
//		                                          │
//		pods and nodes of the projection ─────────┴─► NodeMetrics, PodMetrics
//
//	 1. Shown is what a node told in the last minute. A pod or node without such is not
//	    found, and missing from lists: nobody takes silence for idleness.
//	 2. A pod is shown once every container of it that was measured has a rate, by the
//	    node that it is bound to, with the labels that it has now.
//	 3. What is heard is decoded when somebody asks, and is bounded in age and size.
//	 4. Under a moment of the last ten minutes (/at/<when>/) the same is shown as it was
//	    then; earlier ones answer that it is gone.
//	 5. The APIService is made when the server starts and there is none, and again when
//	    one that named a Service was deleted. One that is there is never changed: whoever
//	    installs another metrics server takes it over by setting spec.service, or
//	    deletes it and makes their own.
//
// What it doesn't do: no watch (what isn't in the log has no versions), no metrics of
// anything else: custom and external metrics come from servers of their own.
package metrics
