// Package kubeletapi answers what the API server and metrics collectors ask of a
// node, at the kubelet's paths, with its names: logs, sessions, statistics.
//
//		gateway ─► tunnel of the node ─► Server ─┬─► logs: files in CRI's format
//		                                         ├─► exec, attach, port-forward: the runtime's streaming server
//		                                         └─► /stats, /metrics…: a measure.Meter, folders, cgroups
//
//	 1. It is plain HTTP/1.1 on the node's tunnel. Who may open that is decided by the
//	    bus, who may ask for what by the gateway, path by path.
//	 2. Names, labels and types of the metrics are those of the kubelet 1.37 and, under
//	    /metrics/cadvisor, of cAdvisor's series that dashboards read.
//	 3. Sessions are handed through to the runtime as SPDY; WebSockets are translated
//	    (v5.channel.k8s.io, which can close one stream; SPDY/3.1+portforward.k8s.io).
//	 4. Nothing is measured before it is asked for; a folder is walked through once a
//	    minute at most.
//	 5. Log files of the machine are served from their folder only: no link leads out.
//
// What it doesn't do: a checkpoint where the runtime can't write one (501, or 400 when
// the runtime itself says so).
package kubeletapi
