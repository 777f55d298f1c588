// Package kubeletapi answers what the API server asks of a node, as the kubelet
// does: logs, exec, attach, port-forward, statistics. It is plain HTTP/1.1 on
// the node's tunnel: who may open that is decided by the bus.
//
// Interactive sessions are handed through to the container runtime's streaming
// server, which speaks SPDY; the API server translates WebSocket clients.
package kubeletapi
