package hollow

import (
	"fmt"
	"hash/fnv"
)

// Ids and addresses come from what they are given to, not from the order in which
// pods that start together get theirs: so a simulation can be repeated.

// id names a sandbox or container; r.mu is held.
func (r *Runtime) id(kind, uid, name string, attempt uint32) string {
	h := fnv.New64a()
	fmt.Fprintln(h, uid, name, attempt)
	for n := h.Sum64(); ; n++ {
		id := fmt.Sprintf("%s-%d-%016x", kind, r.node, n)
		if r.sandboxes[id] == nil && r.containers[id] == nil {
			return id
		}
	}
}

// addresses is how many a node has.
const addresses = 1022

// address is one that no pod of the node has; r.mu is held.
func (r *Runtime) address(uid string) string {
	h := fnv.New32a()
	h.Write([]byte(uid))
	for n := range uint32(addresses) {
		i := 1 + (h.Sum32()%addresses+n)%addresses
		ip := fmt.Sprintf("10.%d.%d.%d", 64+r.node>>6&63, (r.node&63)<<2|int(i>>8), i&255)
		if !r.taken[ip] {
			return ip
		}
	}
	return "" // more pods than any node admits
}
