// Package containerd starts a private containerd under a folder, finds it again
// after a restart, and takes everything away that it made.
//
//		Start ──► config.toml ──► containerd (own session) ──► CRI answers ──► Daemon
//		            ▲ a running one of the same folder is adopted
//		Purge ──► sandboxes stopped ──► daemon stopped ──► mounts, namespaces, cgroups, folder
//
//	 1. Nothing is shared with another containerd of the machine: root, state,
//	    socket, runc root, cgroup prefix and the CNI state are its own.
//	 2. The daemon has a session of its own: it and its containers outlive the
//	    program that started it, and Start adopts it.
//	 3. After Purge nothing is left: no process, mount, network namespace, cgroup, file.
package containerd
