// Package csi has CSI drivers mount volumes for a node's pods.
//
//		a driver's socket in <dir>/plugins_registry ──► NodeGetInfo ──► CSINode (over the API)
//
//		Publish    NodeStageVolume    (once a node)  <dir>/plugins/kubernetes.io/csi/<driver>/<hash>/globalmount
//		           NodePublishVolume  (once a pod)   <dir>/pods/<uid>/volumes/kubernetes.io~csi/<name>/mount
//		Unpublish  NodeUnpublishVolume; NodeUnstageVolume after the last pod
//
//	 1. What a driver is asked to do is written down (vol_data.json beside the path) before it is
//	    asked, and struck out after it undid it: an agent that was killed at any moment undoes all later.
//	 2. Calls about one volume never overlap. Each may be repeated: drivers must bear that.
//	 3. What was published stays so while the agent is away. After a restart a driver is asked again
//	    only for what isn't mounted any more.
//	 4. Staged volumes that no pod uses (the agent ended in between) are unstaged when their driver registers.
//	 5. The folder of a volume is removed only when nothing is mounted there.
//
// Attaching, secrets, tokens and fsGroup are the caller's (package volume).
package csi
