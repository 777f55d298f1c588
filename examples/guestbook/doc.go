// Command guestbook is an operator written for any Kubernetes cluster, with
// controller-runtime: a Guestbook's entries are kept in a ConfigMap. The only
// lines that know Reckon are those in main.go that make its rest.Config, whose
// transport is a connection to the bus. Caches, watches and the election of a
// leader by a Lease go over it unchanged.
package main
