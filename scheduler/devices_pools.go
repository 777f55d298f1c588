package scheduler

import (
	"cmp"
	"fmt"
	"slices"

	resourcev1 "k8s.io/api/resource/v1"
)

// deviceClasses are DeviceClasses by name, as the allocator asks for them.
type deviceClasses map[string]*resourcev1.DeviceClass

// Get is one of the allocator's questions.
func (d deviceClasses) Get(name string) (*resourcev1.DeviceClass, error) {
	if c := d[name]; c != nil {
		return c, nil
	}
	return nil, fmt.Errorf("device class %s does not exist", name)
}

// List is the other one, which it doesn't ask for single claims.
func (d deviceClasses) List() (out []*resourcev1.DeviceClass, err error) {
	for _, c := range d {
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b *resourcev1.DeviceClass) int { return cmp.Compare(a.Name, b.Name) })
	return out, nil
}

type poolKey struct{ driver, name string }

// devicePool is the slices of one pool.
type devicePool struct {
	node   string                      // whose devices they all are; "": of several, or of all
	slices []*resourcev1.ResourceSlice // by name, with the taints that rules add
}

// devicePools finds the devices that a node can reach without looking at other
// nodes' own.
type devicePools struct {
	slices map[string]*resourcev1.ResourceSlice // as they are on record
	all    map[poolKey]*devicePool
	local  map[string][]*devicePool // by node
	shared []*devicePool
}

func newDevicePools() devicePools {
	return devicePools{slices: map[string]*resourcev1.ResourceSlice{}, all: map[poolKey]*devicePool{}, local: map[string][]*devicePool{}}
}

// node is the only one that can use a pool, "" if there isn't one.
func (p *devicePools) node(key poolKey) string {
	if pool := p.all[key]; pool != nil {
		return pool.node
	}
	return ""
}

// of are the slices that may have devices for a node.
func (p *devicePools) of(node string) (out []*resourcev1.ResourceSlice) {
	for _, pools := range [][]*devicePool{p.local[node], p.shared} {
		for _, pool := range pools {
			out = append(out, pool.slices...)
		}
	}
	return out
}

func poolOf(s *resourcev1.ResourceSlice) poolKey { return poolKey{s.Spec.Driver, s.Spec.Pool.Name} }

func (c *cluster) setSlice(name string, slice *resourcev1.ResourceSlice) {
	p := &c.devices.pools
	old := p.slices[name]
	set(p.slices, name, slice)
	if old != nil && (slice == nil || poolOf(old) != poolOf(slice)) {
		c.changeSlice(poolOf(old), name, nil)
	}
	if slice != nil {
		c.changeSlice(poolOf(slice), name, c.devices.tainted(slice))
	}
}

// changeSlice puts a slice into its pool, or takes it out.
func (c *cluster) changeSlice(key poolKey, name string, slice *resourcev1.ResourceSlice) {
	p := &c.devices.pools
	pool := p.all[key]
	if pool == nil {
		pool = &devicePool{}
		p.all[key] = pool
	} else {
		p.leave(pool)
	}
	before, was := pool.node, len(pool.slices)
	i, found := slices.BinarySearchFunc(pool.slices, name, func(s *resourcev1.ResourceSlice, name string) int { return cmp.Compare(s.Name, name) })
	switch {
	case slice == nil && found:
		pool.slices = slices.Delete(slices.Clone(pool.slices), i, i+1)
	case found:
		pool.slices = slices.Clone(pool.slices)
		pool.slices[i] = slice
	case slice != nil:
		pool.slices = slices.Insert(slices.Clone(pool.slices), i, slice)
	}
	pool.node = nodeOfSlices(pool.slices)
	p.join(key, pool)
	c.poolChanged(pool.node, true)
	if was > 0 && before != pool.node {
		c.poolChanged(before, true)
	}
}

// nodeOfSlices is the node whose devices all of them are, "" if there isn't one.
func nodeOfSlices(all []*resourcev1.ResourceSlice) (node string) {
	for i, s := range all {
		if s.Spec.NodeName == nil || i > 0 && *s.Spec.NodeName != node {
			return ""
		}
		node = *s.Spec.NodeName
	}
	return node
}

func (p *devicePools) leave(pool *devicePool) {
	is := func(o *devicePool) bool { return o == pool }
	if pool.node == "" {
		p.shared = slices.DeleteFunc(p.shared, is)
		return
	}
	if left := slices.DeleteFunc(p.local[pool.node], is); len(left) > 0 {
		p.local[pool.node] = left
	} else {
		delete(p.local, pool.node)
	}
}

func (p *devicePools) join(key poolKey, pool *devicePool) {
	switch {
	case len(pool.slices) == 0:
		delete(p.all, key)
	case pool.node == "":
		p.shared = append(p.shared, pool)
	default:
		p.local[pool.node] = append(p.local[pool.node], pool)
	}
}

func (c *cluster) setDeviceTaint(name string, rule *resourcev1.DeviceTaintRule) {
	d := &c.devices
	old := d.taints[name]
	set(d.taints, name, rule)
	for _, slice := range d.pools.slices {
		if old != nil && concerns(old, slice) || rule != nil && concerns(rule, slice) {
			c.changeSlice(poolOf(slice), slice.Name, d.tainted(slice))
		}
	}
}

// concerns reports that a rule may be about some device of a slice.
func concerns(r *resourcev1.DeviceTaintRule, s *resourcev1.ResourceSlice) bool {
	by := r.Spec.DeviceSelector
	return by != nil && (by.Driver == nil || *by.Driver == s.Spec.Driver) && (by.Pool == nil || *by.Pool == s.Spec.Pool.Name)
}

// tainted is a slice with the taints that rules add to its devices.
func (d *devices) tainted(slice *resourcev1.ResourceSlice) *resourcev1.ResourceSlice {
	out := slice
	for _, rule := range d.taintRules() {
		if !concerns(rule, slice) {
			continue
		}
		for i := range slice.Spec.Devices {
			if by := rule.Spec.DeviceSelector; by.Device != nil && *by.Device != slice.Spec.Devices[i].Name {
				continue
			}
			if out == slice {
				out = slice.DeepCopy()
			}
			out.Spec.Devices[i].Taints = append(out.Spec.Devices[i].Taints, rule.Spec.Taint)
		}
	}
	return out
}

func (d *devices) taintRules() (out []*resourcev1.DeviceTaintRule) {
	for _, r := range d.taints {
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b *resourcev1.DeviceTaintRule) int { return cmp.Compare(a.Name, b.Name) })
	return out
}
