// Command website is an operator for one small kind: a Website is served by a
// Deployment and a Service, and its status says how many replicas are ready.
//
//	Website ──► Deployment, Service     through the API, as the operator's service account
//	   ▲─────── status                  a fact, straight to the log
//
// It needs a connection to the bus and nothing else; see docs/custom-controllers.md.
package main
