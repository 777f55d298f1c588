// Package attachdetach keeps the books of which volumes are attached to which
// nodes, for CSI drivers that need it. It attaches nothing itself: an external
// attacher watches the VolumeAttachments and answers in their status.
//
//		pods on a node ──► their claims' CSI volumes ──► VolumeAttachment csi-<hash> each
//		its status.attached ──► node.status.volumesAttached
//		no pod uses it, and not in node.status.volumesInUse ──► deleted
//
//	 1. A driver whose CSIDriver says attachRequired: false has none; one without a
//	    CSIDriver has.
//	 2. A volume that only one node may write is not attached to a second node
//	    while it is to a first. Its new pods are told so (FailedAttachVolume).
//	 3. Only attachments that have the name given here are deleted.
package attachdetach
