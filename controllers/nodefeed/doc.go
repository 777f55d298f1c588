// Package nodefeed publishes what each node needs to know to the bus's feed:
//
//		feed.<node>.<resource>.<namespace>.<name>   its pods, and the config maps, secrets, service
//		                                            accounts, claims and volumes that they use
//		feed._.<resource>.<namespace>.<name>        services, endpoint slices, nodes, CSI drivers and
//		                                            trust bundles, for all
//		feed.<node>.manifest._.<node>               the feed of that node was complete at a position
//		feed._.manifest._._                         the same of what is for all
//
//	 1. One publisher at a time (leadership "nodefeed"); each message carries its
//	    epoch and the log position that it was made at.
//	 2. A value is published when it changed, and tombstoned when the node doesn't
//	    need it any more. A new pod under an old name is preceded by a tombstone.
//	 3. What a node reports about its pods comes back to it late and summed up
//	    ([Options.Lazy]), except the end of a pod: only a node that starts anew reads it.
//	 4. A manifest is put after all that it says is there. A new leader puts one for
//	    every node; it is put again, late and summed up, after pods came or went.
//	 5. What an earlier leader, not knowing yet that it was replaced, puts over a value of this
//	    one is put right again.
//	 6. A value carries the sequence of the object's newest decision, and a pod's the
//	    trace that it belongs to where this leader saw it: what the node reports answers it.
//	 7. A claim brings the volume behind it. A volume of the built-in local path that is
//	    being deleted goes to the node that is to remove its folder.
//	    A volume of a CSI driver brings the secrets that it names; an attachment goes to its node.
//	 8. Secrets are opened on the way ([Options.Open]).
//
// A manifest is JSON: {"position":N,"epoch":E,"pods":["<uid>",...],"keys":["secrets/default/s",...]};
// keys names every subject of the feed (resource/namespace/name, with "_" for no
// namespace), so that a node can forget what an earlier leader left.
package nodefeed
