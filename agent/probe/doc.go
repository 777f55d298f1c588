// Package probe asks containers how they are: by a command, an HTTP request, a
// TCP connection or gRPC's health service, at the pace that the pod's spec says.
//
// Run is one probe of one running container. It reports a change only when as
// many answers in a row as the spec wants agree.
package probe
