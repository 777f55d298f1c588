package nodeipam

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/controllers/controllertest"
	"github.com/reckon-project/reckon/projections"
)

func prefixes(texts ...string) (out []netip.Prefix) {
	for _, t := range texts {
		out = append(out, netip.MustParsePrefix(t))
	}
	return out
}

func node(name string, ranges ...string) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if len(ranges) > 0 {
		n.Spec.PodCIDR, n.Spec.PodCIDRs = ranges[0], ranges
	}
	return n
}

func show(w *controllertest.World) string {
	var out []string
	for n := range projections.List[*corev1.Node](w.Snapshot(), "", "nodes", "") {
		out = append(out, fmt.Sprintf("%s %v %s", n.Name, n.Spec.PodCIDRs, n.Spec.PodCIDR))
	}
	return strings.Join(out, "\n")
}

func TestRanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		w.Create(controllers.Node, node("a-early"))
		w.Create(controllers.Node, node("own", "10.1.1.0/24"))
		w.Create(controllers.Node, node("elsewhere", "192.168.0.0/24"))
		w.Run(New(Ranges{Cluster: prefixes("10.1.0.0/22", "fd00:1::/48")}))
		script := controllertest.NewTranscript(w, "ranges")
		step := func(name string) {
			w.Settle()
			script.Say(name, show(w))
		}
		step("a node that waits, and two with ranges of their own")
		w.Create(controllers.Node, node("b"))
		step("another")
		w.Create(controllers.Node, node("c"))
		w.Create(controllers.Node, node("d-late"))
		step("and two more: one finds no range")
		w.Delete(controllers.Node.Key("", "b"), "")
		step("one goes")
		script.Done()
	})
}

func TestWithoutRanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := controllertest.NewWorld(t)
		defer w.Stop()
		w.Run(New(Ranges{}))
		w.Create(controllers.Node, node("a"))
		w.Settle()
		if got := show(w); got != "a [] " {
			t.Errorf("nodes are %s", got)
		}
	})
}

func TestCheck(t *testing.T) {
	for text, ok := range map[string]bool{"10.0.0.0/8": true, "10.0.0.0/7": false, "10.0.0.0/24": true, "10.0.0.0/25": false, "fd00::/48": true, "fd00::/47": false} {
		if err := (Ranges{Cluster: prefixes(text)}).Check(); (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
	}
	if (Ranges{Cluster: prefixes("10.0.0.0/16", "10.1.0.0/16")}).Check() == nil {
		t.Error("two ranges of one family")
	}
}

// TestNoOverlap: what a pool gives out overlaps neither what was taken nor itself,
// and all of it is given out.
func TestNoOverlap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := newPool(netip.MustParsePrefix("10.4.0.0/20"), rapid.IntRange(20, 26).Draw(t, "bits"))
		var taken []netip.Prefix
		for range rapid.IntRange(0, 8).Draw(t, "taken") {
			b := rapid.SliceOfN(rapid.Byte(), 2, 2).Draw(t, "address")
			r := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 4, b[0] % 32, b[1]}), rapid.IntRange(12, 28).Draw(t, "length")).Masked()
			taken = append(taken, r)
			p.take(r)
		}
		for {
			r, ok := p.next()
			if !ok {
				break
			}
			for _, other := range taken {
				if other.Overlaps(r) {
					t.Fatalf("%s overlaps %s", r, other)
				}
			}
			taken = append(taken, r)
		}
		for i := range p.taken {
			r, overlapped := p.at(i), false
			for _, other := range taken {
				overlapped = overlapped || other.Overlaps(r)
			}
			if !overlapped {
				t.Fatalf("%s was not given out", r)
			}
		}
	})
}
