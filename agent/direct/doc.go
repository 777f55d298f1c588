// Package direct is agent/runtime on containerd without its CRI service: one
// container in namespaces that the agent made itself costs about a third of
// what a pause container and a container cost through CRI.
//
//		RunSandbox      namespaces from a warm pool ─► CNI ─► one record in containerd
//		CreateContainer user, OCI spec ─► record ─► snapshot
//		StartContainer  fifos ─► logger ─► shim and runc ─► started
//		an exit         noted on the record, then the task is deleted, then it is told
//
//	 1. All state is on containerd's records, as labels and extensions; what is in
//	    memory is a copy of it. A restarted agent finds everything again: states,
//	    exit codes, times, reasons.
//	 2. A pod's network, IPC and UTS namespaces are pinned by bind mounts below
//	    Options.Dir. A pause process runs only where containers share a PID namespace.
//	 3. Containers never wait for the agent: a process of its own (package logger)
//	    reads what they say.
//	 4. What a process inside sees, and may do, is what it would be through CRI:
//	    agent/integration compares both.
//	 5. Images are CRI's: both ways use the same store, so they can be changed for one another.
//
// It doesn't do user namespaces, SELinux, CDI devices, and other handlers than runc.
package direct
