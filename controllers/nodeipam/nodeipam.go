package nodeipam

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// Ranges are the cluster's pod ranges: one, or one of each address family.
type Ranges struct {
	Cluster []netip.Prefix
	// Bits are the lengths of a node's ranges, for each of Cluster; 0: 24 or, for IPv6, 64.
	Bits []int
}

// mostNodes is how many ranges a cluster range is divided into at most, as a
// power of two.
const mostNodes = 16

// Check reports ranges that can't be divided.
func (r Ranges) Check() error {
	for i, p := range r.Cluster {
		if bits := r.bits(i); !p.IsValid() || bits < p.Bits() || bits > p.Addr().BitLen() || bits-p.Bits() > mostNodes {
			return fmt.Errorf("%w: %s can't be divided into nodes' ranges of /%d", events.ErrInvalid, p, bits)
		}
	}
	if len(r.Cluster) > 2 || len(r.Cluster) == 2 && r.Cluster[0].Addr().Is4() == r.Cluster[1].Addr().Is4() {
		return fmt.Errorf("%w: more than one cluster range of a family", events.ErrInvalid)
	}
	return nil
}

func (r Ranges) bits(i int) int {
	switch {
	case i < len(r.Bits) && r.Bits[i] != 0:
		return r.Bits[i]
	case r.Cluster[i].Addr().Is4():
		return 24
	}
	return 64
}

// pass is the one key of the controller.
var pass = controllers.Node.Key("", "")

// New makes the controller; without ranges it does nothing.
func New(r Ranges) *controllers.Controller {
	return controllers.New("node-ipam-controller").As("node-controller").
		Watches("", "nodes", func(_ *projections.Snapshot, c projections.Change, add func(events.Key)) {
			if node := nodeOf(c.New); len(r.Cluster) > 0 && (node == nil || !assigned(node)) {
				add(pass)
			}
		}).
		Reconcile(func(_ context.Context, s *projections.Snapshot, _ events.Key) (controllers.Result, error) {
			return assign(s, r)
		})
}

func nodeOf(o *events.Object) *corev1.Node {
	if !o.Exists() {
		return nil
	}
	node, _ := o.Value.(*corev1.Node)
	return node
}

func assigned(node *corev1.Node) bool { return node.Spec.PodCIDR != "" || len(node.Spec.PodCIDRs) > 0 }

// assign gives every node that waits a range of each family.
func assign(s *projections.Snapshot, r Ranges) (controllers.Result, error) {
	pools := make([]*pool, len(r.Cluster))
	for i, p := range r.Cluster {
		pools[i] = newPool(p, r.bits(i))
	}
	var waiting []*events.Object
	for o := range s.List("", "nodes", "") {
		node := nodeOf(o)
		switch {
		case node == nil:
		case assigned(node):
			for _, text := range append(node.Spec.PodCIDRs, node.Spec.PodCIDR) {
				if p, err := netip.ParsePrefix(text); err == nil {
					for _, pool := range pools {
						pool.take(p)
					}
				}
			}
		case node.DeletionTimestamp == nil:
			waiting = append(waiting, o)
		}
	}
	slices.SortFunc(waiting, func(a, b *events.Object) int {
		at, bt := a.Meta().GetCreationTimestamp().Time, b.Meta().GetCreationTimestamp().Time
		return cmp.Or(at.Compare(bt), cmp.Compare(a.Key.Name, b.Key.Name))
	})
	var result controllers.Result
	for _, o := range waiting {
		node := nodeOf(o).DeepCopy()
		for _, pool := range pools {
			p, ok := pool.next()
			if !ok {
				return result, nil // they wait for a node to go
			}
			node.Spec.PodCIDRs = append(node.Spec.PodCIDRs, p.String())
		}
		node.Spec.PodCIDR = node.Spec.PodCIDRs[0]
		result.Intents = append(result.Intents, controllers.Patch(o, node))
	}
	return result, nil
}
