package scheduler

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// group counts the pods that should be spread among each other, by node and by
// zone: those of one owner, or, without an owner, of one service.
type group struct {
	total  int
	byNode map[int32]int32
	byZone []int32
}

func (g *group) onNode(i int32) int32 {
	if g == nil {
		return 0
	}
	return g.byNode[i]
}

func (g *group) inZone(z int32) int32 {
	if g == nil || int(z) >= len(g.byZone) {
		return 0
	}
	return g.byZone[z]
}

func (g *group) add(n *node, by int32) {
	g.total += int(by)
	if left := g.byNode[n.index] + by; left != 0 {
		g.byNode[n.index] = left
	} else {
		delete(g.byNode, n.index)
	}
	for int(n.zone) >= len(g.byZone) {
		g.byZone = append(g.byZone, 0)
	}
	g.byZone[n.zone] += by
}

// groupOf names a pod's group, "" for none. A pod without an owner counts for the
// first service that selected it when the scheduler first saw it.
func (c *cluster) groupOf(pod *corev1.Pod) string {
	if owner := metav1.GetControllerOf(pod); owner != nil {
		return "owner/" + string(owner.UID)
	}
	first := ""
	for name, selector := range c.services[pod.Namespace] {
		if (first == "" || name < first) && selector.Matches(labels.Set(pod.Labels)) {
			first = name
		}
	}
	if first == "" {
		return ""
	}
	return "service/" + pod.Namespace + "/" + first
}

func (c *cluster) setService(namespace, name string, s *corev1.Service) {
	of := c.services[namespace]
	if s == nil || len(s.Spec.Selector) == 0 {
		delete(of, name)
		return
	}
	if of == nil {
		of = map[string]labels.Selector{}
		c.services[namespace] = of
	}
	of[name] = labels.SelectorFromSet(s.Spec.Selector)
}

// zoneOf gives the index of a node's zone; nodes without one share a zone.
func (c *cluster) zoneOf(n *corev1.Node) int32 {
	name := n.Labels[corev1.LabelTopologyZone]
	if name != "" {
		name = strings.Join([]string{n.Labels[corev1.LabelTopologyRegion], name}, "/")
	}
	i := slices.Index(c.zones, name)
	if i < 0 {
		i = len(c.zones)
		c.zones = append(c.zones, name)
	}
	return int32(i)
}
