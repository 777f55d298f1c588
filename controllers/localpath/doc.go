// Package localpath is the built-in provisioner: a claim gets a folder on the
// node that its pod runs on.
//
//		claim, selected-node ──► volume (type local, that node only) ──► bound as any other
//		claim gone ──► volume Released ──► deleted here, held by a finalizer
//		   └─► the node's feed shows it ──► its agent removes the folder and reports that
//		         └─► the finalizer is taken off
//
//	 1. The class local-path is made once in a cluster's life, and is the default
//	    if there is no other. Who deletes or changes it is left alone: an annotation of the namespace
//	    kube-system remembers that it was made.
//	 2. A volume's folder lies where the node says that its volumes are (the annotation
//	    reckon.dev/volumes, set by its agent). The node makes it when a pod mounts it.
//	 3. A volume with the policy Delete goes only when its node has reported that the
//	    folder is gone, or when the node itself is gone.
//	 4. A folder has no quota: a volume's size is book-keeping, and grows on request.
package localpath
