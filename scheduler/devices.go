package scheduler

import (
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/dynamic-resource-allocation/cel"
	"k8s.io/dynamic-resource-allocation/structured"

	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// devices is the scheduler's view of dynamic resource allocation: which devices there
// are, and which claim has which. Pods without resource claims never come here.
type devices struct {
	claims  map[events.Key]*resourcev1.ResourceClaim
	classes deviceClasses
	taints  map[string]*resourcev1.DeviceTaintRule
	pools   devicePools
	// taken is what a claim has: as folded, or assumed until it is.
	taken   map[types.UID]*resourcev1.AllocationResult
	assumed map[types.UID]*assumedClaim
	holders map[structured.DeviceID]int // claims that have the device for themselves
	state   structured.AllocatedState   // the same, as the allocator reads it
	cel     *cel.Cache

	// clock counts changes; everywhere is the last one that wasn't about a single
	// node's own devices.
	clock, everywhere uint64
	helped            bool // there may be more to have, anywhere
}

// assumedClaim is what is being written to a claim.
type assumedClaim struct {
	key        events.Key
	allocation *resourcev1.AllocationResult // nil: it has one
	by         types.UID                    // the pod it is allocated for
	pods       map[types.UID]struct{}       // that it is being reserved for
	unsure     bool                         // nobody knows whether that was stored: it is written again
}

// compiled is how many CEL expressions of classes and claims are kept compiled.
const compiled = 256

func newDevices() devices {
	return devices{
		claims: map[events.Key]*resourcev1.ResourceClaim{}, classes: deviceClasses{}, taints: map[string]*resourcev1.DeviceTaintRule{},
		pools: newDevicePools(), taken: map[types.UID]*resourcev1.AllocationResult{}, assumed: map[types.UID]*assumedClaim{},
		holders: map[structured.DeviceID]int{}, cel: cel.NewCache(compiled, cel.Features{EnableConsumableCapacity: true}),
		state: structured.AllocatedState{
			AllocatedDevices: sets.New[structured.DeviceID](), AllocatedSharedDeviceIDs: sets.New[structured.SharedDeviceID](),
			AggregatedCapacity: structured.NewConsumedCapacityCollection(),
		},
	}
}

// takeDevices takes in a snapshot's claims, classes and devices.
func (c *cluster) takeDevices(s *projections.Snapshot) {
	for o := range s.List(resourcev1.GroupName, "devicetaintrules", "") {
		c.setDeviceTaint(o.Key.Name, value[*resourcev1.DeviceTaintRule](o))
	}
	for o := range s.List(resourcev1.GroupName, "deviceclasses", "") {
		c.setDeviceClass(o.Key.Name, value[*resourcev1.DeviceClass](o))
	}
	for o := range s.List(resourcev1.GroupName, "resourceslices", "") {
		c.setSlice(o.Key.Name, value[*resourcev1.ResourceSlice](o))
	}
	for o := range s.List(resourcev1.GroupName, "resourceclaims", "") {
		c.setResourceClaim(o.Key, value[*resourcev1.ResourceClaim](o))
	}
}

// takeDevice takes in a change, and reports whether it was about devices.
func (c *cluster) takeDevice(change projections.Change) bool {
	k, now := change.Event.Key, change.New
	switch {
	case k.Group != resourcev1.GroupName:
		return false
	case k.Resource == "resourceclaims":
		c.setResourceClaim(k, value[*resourcev1.ResourceClaim](now))
	case k.Resource == "resourceslices":
		c.setSlice(k.Name, value[*resourcev1.ResourceSlice](now))
	case k.Resource == "deviceclasses":
		c.setDeviceClass(k.Name, value[*resourcev1.DeviceClass](now))
	case k.Resource == "devicetaintrules":
		c.setDeviceTaint(k.Name, value[*resourcev1.DeviceTaintRule](now))
	default:
		return false
	}
	return true
}

// The methods set* take in a new version, nil when it is gone.
func (c *cluster) setDeviceClass(name string, class *resourcev1.DeviceClass) {
	set(c.devices.classes, name, class)
	c.devices.changedEverywhere(true)
}

func (c *cluster) setResourceClaim(key events.Key, claim *resourcev1.ResourceClaim) {
	d := &c.devices
	if old := d.claims[key]; old != nil && (claim == nil || old.UID != claim.UID) {
		delete(d.assumed, old.UID)
		c.give(old.UID, nil)
	}
	set(d.claims, key, claim)
	if claim == nil {
		return
	}
	has := claim.Status.Allocation
	if a := d.assumed[claim.UID]; a != nil {
		for i := range claim.Status.ReservedFor {
			delete(a.pods, claim.Status.ReservedFor[i].UID)
		}
		if has != nil {
			a.allocation = nil
		}
		if has = a.allocation; has == nil {
			has = claim.Status.Allocation
		}
		if len(a.pods) == 0 && a.allocation == nil {
			delete(d.assumed, claim.UID)
		}
	}
	c.give(claim.UID, has)
}

// give counts what a claim has from now on, nil: nothing.
func (c *cluster) give(claim types.UID, now *resourcev1.AllocationResult) {
	d := &c.devices
	was := d.taken[claim]
	if was == now || was != nil && now != nil && equality.Semantic.DeepEqual(was.Devices, now.Devices) {
		return
	}
	c.countDevices(was, -1)
	c.countDevices(now, 1)
	set(d.taken, claim, now)
}

// countDevices counts an allocation's devices as taken, or with sign -1 as free again.
func (c *cluster) countDevices(a *resourcev1.AllocationResult, sign int) {
	if a == nil {
		return
	}
	d := &c.devices
	for i := range a.Devices.Results {
		r := &a.Devices.Results[i]
		if r.AdminAccess != nil && *r.AdminAccess {
			continue // whoever watches a device doesn't take it
		}
		id := structured.MakeDeviceID(r.Driver, r.Pool, r.Device)
		switch {
		case r.ShareID != nil:
			share, part := structured.MakeSharedDeviceID(id, r.ShareID), structured.NewDeviceConsumedCapacity(id, r.ConsumedCapacity)
			if sign > 0 {
				d.state.AllocatedSharedDeviceIDs.Insert(share)
				d.state.AggregatedCapacity.Insert(part)
			} else {
				d.state.AllocatedSharedDeviceIDs.Delete(share)
				d.state.AggregatedCapacity.Remove(part)
			}
		default:
			if d.holders[id] += sign; d.holders[id] > 0 {
				d.state.AllocatedDevices.Insert(id)
			} else {
				delete(d.holders, id)
				d.state.AllocatedDevices.Delete(id)
			}
		}
		c.poolChanged(d.pools.node(poolKey{r.Driver, r.Pool}), sign < 0)
	}
}

// poolChanged has the classes look again at the nodes of a pool: one, or "" for all.
func (c *cluster) poolChanged(node string, more bool) {
	d := &c.devices
	if node == "" {
		d.changedEverywhere(more)
		return
	}
	n := c.byName[node]
	if n == nil {
		return
	}
	d.clock++
	n.devices = d.clock
	c.touch(n)
	if more {
		c.helped = c.end()
	}
}

func (d *devices) changedEverywhere(more bool) {
	d.clock++
	d.everywhere = d.clock
	d.helped = d.helped || more
}
