// Package api asks the Kubernetes API what only it can do for a node: register
// it, issue service account tokens, and keep its CSINode. It goes over the bus, so a node needs
// no open port and no certificate.
package api
