// Package registry finds the plugins of a node: they put a socket into a folder and
// answer there who they are (the kubelet's plugin registration protocol).
//
//		<dir>/x.sock appears ──► GetInfo ──► Handler.Register ──► NotifyRegistrationStatus
//		it goes, or another takes its place ──► Handler.Deregister
//
//	 1. A handler is told of a plugin once, again when its socket was made anew, and of its
//	    end once. Calls about one socket never overlap.
//	 2. What fails is tried again, later each time, and told to the plugin.
//	 3. Sockets that begin with a dot, and plugins of a type without a handler, are left alone.
package registry
