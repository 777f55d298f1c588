// Package agent is what runs on a node: it makes the node's pods run as the
// feed says and reports what happens to them.
//
//		feed.<node>.> ──► feed.Store ──► one pod.Worker a pod ──► runtime (containerd, or pretended)
//		                                        │                        │ exits, OOM kills
//		                                        ▼                        ▼
//		fact.<node>.> ◄── report.Reporter ◄── statuses ◄───────────── workers
//		beat.<node>   ◄── every 4 s
//		api.node:<node>.conn: registration, tokens      tunnel.<node>.conn: logs, exec, ...
//
//	 1. Its only input is the node feed, its only output facts and heartbeats.
//	 2. Containers outlive the agent, the bus and containerd; a new agent adopts them.
//	 3. Nothing is stopped because something is absent (package feed).
//
// New takes the node's name and bus connection; Run blocks until its context
// ends and leaves everything running. Purge takes away everything of a node.
package agent
