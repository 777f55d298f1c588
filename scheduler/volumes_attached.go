package scheduler

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	storagehelpers "k8s.io/component-helpers/storage/volume"

	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// attachable is a volume that a driver attaches to nodes.
type attachable struct{ driver, handle string }

// attached is what a node's drivers have attached to it, or will for the pods bound there, and how
// many they can. Most nodes have none: no driver, no claim.
type attached struct {
	drivers map[string]bool
	limits  map[string]int
	users   map[attachable]int // pods, and the attachment that there is
	count   map[string]int     // volumes by driver
}

// attachedTo finds or makes a node's.
func (v *volumes) attachedTo(node string) *attached {
	a := v.attached[node]
	if a == nil {
		a = &attached{users: map[attachable]int{}, count: map[string]int{}}
		v.attached[node] = a
	}
	return a
}

func (a *attached) add(volume attachable, sign int) {
	before := a.users[volume]
	after := before + sign
	switch {
	case before <= 0 && after > 0:
		a.count[volume.driver]++
	case before > 0 && after <= 0:
		a.count[volume.driver]--
	}
	if after == 0 {
		delete(a.users, volume)
	} else {
		a.users[volume] = after
	}
}

// attachedOf are the volumes that drivers attach for a pod; nil if there are none. A volume that
// isn't made yet goes by its claim's name.
func (v *volumes) attachedOf(pod *corev1.Pod) (out []attachable) {
	for _, key := range claimsOf(pod) {
		claim := v.claims[key]
		if claim == nil {
			continue
		}
		volume := attachable{handle: key.Namespace + "/" + key.Name}
		if pv := v.volumes[claim.Spec.VolumeName]; pv != nil {
			if pv.Spec.CSI == nil {
				continue
			}
			volume = attachable{pv.Spec.CSI.Driver, pv.Spec.CSI.VolumeHandle}
		} else if class := v.classes[storagehelpers.GetPersistentVolumeClaimClass(claim)]; class != nil {
			volume.driver = class.Provisioner
		}
		if volume.driver != "" && !slices.Contains(out, volume) {
			out = append(out, volume)
		}
	}
	return out
}

// exclusiveOf are a pod's claims that one pod only may have.
func (v *volumes) exclusiveOf(pod *corev1.Pod) (out []events.Key) {
	for _, key := range claimsOf(pod) {
		if claim := v.claims[key]; claim != nil && slices.Contains(claim.Spec.AccessModes, corev1.ReadWriteOncePod) {
			out = append(out, key)
		}
	}
	return out
}

// setCSINode takes in what a node's drivers can; setAttachment what is attached to one.
func (c *cluster) setCSINode(name string, object *storagev1.CSINode) {
	a := c.volumes.attachedTo(name)
	defer c.forgetAttached(name)
	a.drivers, a.limits = map[string]bool{}, map[string]int{}
	if object != nil {
		for i := range object.Spec.Drivers {
			d := &object.Spec.Drivers[i]
			a.drivers[d.Name] = true
			if d.Allocatable != nil && d.Allocatable.Count != nil {
				a.limits[d.Name] = int(*d.Allocatable.Count)
			}
		}
	}
	c.attachedChanged(name, true)
}

func (c *cluster) setAttachment(name string, object *storagev1.VolumeAttachment) {
	v := &c.volumes
	if old, ok := v.attachments[name]; ok {
		v.attachedTo(old.node).add(old.volume, -1)
		delete(v.attachments, name)
		c.attachedChanged(old.node, true)
		defer c.forgetAttached(old.node)
	}
	if object == nil || object.Spec.Source.PersistentVolumeName == nil {
		return
	}
	pv := v.volumes[*object.Spec.Source.PersistentVolumeName]
	if pv == nil || pv.Spec.CSI == nil {
		return
	}
	now := attachment{object.Spec.NodeName, attachable{pv.Spec.CSI.Driver, pv.Spec.CSI.VolumeHandle}}
	v.attachments[name] = now
	v.attachedTo(now.node).add(now.volume, 1)
	c.attachedChanged(now.node, false)
}

// attachment is one on record.
type attachment struct {
	node   string
	volume attachable
}

// forgetAttached drops what is known of a node without drivers to which nothing is attached.
func (c *cluster) forgetAttached(node string) {
	a := c.volumes.attached[node]
	if a == nil || len(a.drivers)+len(a.users) > 0 {
		return
	}
	delete(c.volumes.attached, node)
	if n := c.byName[node]; n != nil {
		n.attached = nil
	}
}

func (c *cluster) attachedChanged(node string, more bool) {
	n := c.byName[node]
	if n == nil {
		return
	}
	n.attached = c.volumes.attached[node]
	c.touch(n)
	if more {
		c.helped = c.end()
	}
}

// setDriver takes in a driver: whether pods are kept from nodes that it isn't on.
func (c *cluster) setDriver(name string, object *storagev1.CSIDriver) {
	needed := object != nil && object.Spec.PreventPodSchedulingIfMissing != nil && *object.Spec.PreventPodSchedulingIfMissing
	if needed == c.volumes.needed[name] {
		return
	}
	if delete(c.volumes.needed, name); needed {
		c.volumes.needed[name] = true
	}
	for _, n := range c.nodes { // a driver rarely comes or goes
		if n != nil && n.object != nil {
			c.touch(n)
		}
	}
	c.helped = c.end()
}

// takeDriver takes in a change of what drivers say, and of what they attached.
func (c *cluster) takeDriver(change projections.Change) {
	switch name := change.Event.Key.Name; change.Event.Key.Resource {
	case "csinodes":
		c.setCSINode(name, value[*storagev1.CSINode](change.New))
	case "volumeattachments":
		c.setAttachment(name, value[*storagev1.VolumeAttachment](change.New))
	case "csidrivers":
		c.setDriver(name, value[*storagev1.CSIDriver](change.New))
	}
}

// countVolumes counts a bound pod's volumes in, or out with sign -1.
func (c *cluster) countVolumes(b *bound, sign int) {
	if len(b.volumes) > 0 {
		if b.node.attached == nil {
			b.node.attached = c.volumes.attachedTo(b.node.name)
		}
		for _, volume := range b.volumes {
			b.node.attached.add(volume, sign)
		}
		c.forgetAttached(b.node.name)
	}
	for _, key := range b.exclusive {
		if c.volumes.exclusive[key] += sign; c.volumes.exclusive[key] == 0 {
			delete(c.volumes.exclusive, key)
		}
	}
}
