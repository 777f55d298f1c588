package scheduler

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"k8s.io/component-helpers/storage/ephemeral"
	storagehelpers "k8s.io/component-helpers/storage/volume"

	"github.com/reckon-project/reckon/events"
)

// claimed is what a pod's claims ask of its node.
type claimed struct {
	problem  string // why no node will do
	used     bool   // another pod has a claim that one pod may have
	lost     bool   // a volume isn't there
	bound    []*corev1.PersistentVolume
	affinity []*nodeaffinity.LazyErrorNodeSelector
	unbound  []*unboundClaim // they wait for the node
	zones    []volumeZone    // of the bound ones
	drivers  []driverVolumes // that attach them

	exclusive []events.Key       // for one pod only
	users     map[events.Key]int // of those: volumes.exclusive
	needed    map[string]bool    // drivers: volumes.needed
}

// unboundClaim gets its volume when its pod has a node.
type unboundClaim struct {
	claim    *corev1.PersistentVolumeClaim
	class    *storagev1.StorageClass
	selected string       // the node that a volume is being made on
	free     *freeVolumes // of its class; may be nil
	assumed  map[string]*corev1.PersistentVolume
}

// claimedBy looks up a pod's claims; nil if it has none.
func (v *volumes) claimedBy(pod *corev1.Pod) *claimed {
	keys := claimsOf(pod)
	if keys == nil {
		return nil
	}
	c := &claimed{users: v.exclusive, needed: v.needed, exclusive: v.exclusiveOf(pod)}
	for _, key := range keys {
		claim := v.claims[key]
		if c.problem = problemOf(pod, claim, key.Name); c.problem != "" {
			return c
		}
		if users := v.users[key]; len(users) > 0 {
			if _, self := users[pod.UID]; !self || len(users) > 1 {
				c.used = true
			}
		}
		if isBound(claim) {
			c.addBound(v.volumes[claim.Spec.VolumeName])
			continue
		}
		class := v.classes[storagehelpers.GetPersistentVolumeClaimClass(claim)]
		if claim.Spec.VolumeName != "" || class == nil || class.VolumeBindingMode == nil || *class.VolumeBindingMode != storagev1.VolumeBindingWaitForFirstConsumer {
			c.problem = "pod has unbound immediate PersistentVolumeClaims"
			return c
		}
		c.addDriver(attachable{driver: class.Provisioner})
		c.unbound = append(c.unbound, &unboundClaim{claim, class, claim.Annotations[storagehelpers.AnnSelectedNode], v.free[class.Name], v.assumed})
	}
	slices.SortStableFunc(c.unbound, func(a, b *unboundClaim) int {
		x, y := a.claim.Spec.Resources.Requests[corev1.ResourceStorage], b.claim.Spec.Resources.Requests[corev1.ResourceStorage]
		return x.Cmp(y)
	})
	return c
}

func isBound(claim *corev1.PersistentVolumeClaim) bool {
	_, complete := claim.Annotations[storagehelpers.AnnBindCompleted]
	return complete && claim.Spec.VolumeName != ""
}

// problemOf says in Kubernetes' words why a claim can't be used at all.
func problemOf(pod *corev1.Pod, claim *corev1.PersistentVolumeClaim, name string) string {
	owned := false
	for i := range pod.Spec.Volumes {
		s := &pod.Spec.Volumes[i]
		owned = owned || s.Ephemeral != nil && ephemeral.VolumeClaimName(pod, s) == name
	}
	switch {
	case claim == nil && owned:
		return fmt.Sprintf("waiting for ephemeral volume controller to create the persistentvolumeclaim %q", name)
	case claim == nil:
		return fmt.Sprintf("persistentvolumeclaim %q not found", name)
	case claim.Status.Phase == corev1.ClaimLost:
		return fmt.Sprintf("persistentvolumeclaim %q bound to non-existent persistentvolume %q", name, claim.Spec.VolumeName)
	case claim.DeletionTimestamp != nil:
		return fmt.Sprintf("persistentvolumeclaim %q is being deleted", name)
	}
	if owned {
		if err := ephemeral.VolumeIsForPod(pod, claim); err != nil {
			return err.Error()
		}
	}
	return ""
}

func (c *claimed) addBound(v *corev1.PersistentVolume) {
	if v == nil {
		c.lost = true
		return
	}
	c.bound = append(c.bound, v)
	if csi := v.Spec.CSI; csi != nil {
		c.addDriver(attachable{csi.Driver, csi.VolumeHandle})
	}
	c.zones = append(c.zones, zonesOf(v)...)
	if a := v.Spec.NodeAffinity; a != nil && a.Required != nil {
		c.affinity = append(c.affinity, nodeaffinity.NewLazyErrorNodeSelector(a.Required))
	}
}

// appendKey writes what nodes are judged by: pods whose claims ask for the same
// are of one class. Nil writes nothing.
func (c *claimed) appendKey(b []byte) []byte {
	if c == nil {
		return b
	}
	str := func(s string) {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	str("claims")
	str(c.problem)
	str(fmt.Sprint(c.used, c.lost))
	for _, v := range c.bound {
		str(string(v.UID))
	}
	for _, key := range c.exclusive {
		str(key.Namespace + "/" + key.Name)
	}
	for _, z := range c.zones {
		str(z.key)
		str(fmt.Sprint(z.values))
	}
	for _, u := range c.unbound {
		str("waits")
		str(string(u.class.UID))
		str(u.class.Name)
		str(u.selected)
		if u.free != nil && len(u.free.byName) > 0 {
			str(string(u.claim.UID))
			b = binary.AppendUvarint(b, u.free.generation)
		}
	}
	return b
}

// refuses says why a node won't do, "" if it will.
func (c *claimed) refuses(n *corev1.Node) string {
	switch {
	case c.problem != "":
		return c.problem
	case c.lost:
		return "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"
	}
	for _, a := range c.affinity {
		if ok, err := a.Match(n); !ok || err != nil {
			return "node(s) didn't match PersistentVolume's node affinity"
		}
	}
	if _, ok := c.assign(n); !ok {
		return "node(s) didn't find available persistent volumes to bind"
	}
	return ""
}

// assign finds a volume on a node for each unbound claim, in their order: one
// that is free, or nil: to be made there.
func (c *claimed) assign(n *corev1.Node) ([]*corev1.PersistentVolume, bool) {
	if len(c.unbound) == 0 {
		return nil, true
	}
	out := make([]*corev1.PersistentVolume, len(c.unbound))
	var chosen map[string]*corev1.PersistentVolume
	for i, u := range c.unbound {
		if u.selected != "" {
			if u.selected != n.Name {
				return nil, false
			}
			continue
		}
		if u.free != nil && len(u.free.byName) > 0 {
			if chosen == nil {
				chosen = map[string]*corev1.PersistentVolume{}
				maps.Copy(chosen, u.assumed)
			}
			candidates := make([]*corev1.PersistentVolume, 0, len(u.free.byName))
			for _, name := range slices.Sorted(maps.Keys(u.free.byName)) {
				candidates = append(candidates, u.free.byName[name])
			}
			if v, err := storagehelpers.FindMatchingVolume(u.claim, candidates, n, chosen, false, true); err == nil && v != nil {
				out[i], chosen[v.Name] = v, v
				continue
			}
		}
		if u.class.Provisioner == "" || u.class.Provisioner == storagehelpers.NotSupportedProvisioner || !inTopology(u.class.AllowedTopologies, n.Labels) {
			return nil, false
		}
	}
	return out, true
}

// inTopology reports that a node is where a class makes volumes.
func inTopology(terms []corev1.TopologySelectorTerm, labels map[string]string) bool {
	if len(terms) == 0 {
		return true
	}
	return slices.ContainsFunc(terms, func(t corev1.TopologySelectorTerm) bool {
		return !slices.ContainsFunc(t.MatchLabelExpressions, func(r corev1.TopologySelectorLabelRequirement) bool {
			value, ok := labels[r.Key]
			return !ok || !slices.Contains(r.Values, value)
		})
	})
}
