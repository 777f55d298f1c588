// Package volume prepares what pods mount: emptyDir, hostPath, configMap,
// secret, downwardAPI and projected volumes with tokens and trust bundles, and
// claims whose volume is a folder or a device of the node.
//
//		Mount ──► one folder per volume below <dir>/pods/<uid>/volumes
//		          emptyDir, hostPath: a folder     others: files behind a ..data link
//
//	 1. Mount may be called at any time: it makes what is missing and brings files
//	    up to date. The files of one volume change all at once: a reader sees the
//	    old ones or the new ones (one rename of the ..data link).
//	 2. Secrets and tokens are kept in memory (tmpfs) only.
//	 3. Unmount takes everything away, and never what a hostPath volume or a claim points at.
//	 4. The folder of a volume of the built-in local path is made when a pod mounts it first, and
//	    removed by RemoveFolder. No other folder is ever made or removed for a claim.
package volume
