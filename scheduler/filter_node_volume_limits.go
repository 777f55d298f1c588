package scheduler

// NodeVolumeLimits refuses nodes to which a driver can't attach a pod's volumes as well,
// and those without a driver that says it is needed.
type NodeVolumeLimits struct{}

// Name is Kubernetes' name of it.
func (NodeVolumeLimits) Name() string { return "NodeVolumeLimits" }

// Refuses compares what is attached with what the node's CSINode says.
func (NodeVolumeLimits) Refuses(cl *class, n *node) bool {
	return cl.claimed != nil && cl.claimed.exceeds(n) != ""
}

// Reasons are Kubernetes' words.
func (NodeVolumeLimits) Reasons(_ *cluster, cl *class, n *node) []string {
	return []string{cl.claimed.exceeds(n)}
}

// exceeds says why a node's drivers won't do, "" if they will.
func (c *claimed) exceeds(n *node) string {
	for i := range c.drivers {
		d := &c.drivers[i]
		if c.needed[d.name] && (n.attached == nil || !n.attached.drivers[d.name]) {
			return d.name + " CSI driver is not installed on the node"
		}
		if n.attached == nil {
			continue
		}
		limit, ok := n.attached.limits[d.name]
		if !ok {
			continue
		}
		more := d.unmade
		for _, volume := range d.volumes {
			if n.attached.users[volume] <= 0 {
				more++
			}
		}
		if more > 0 && n.attached.count[d.name]+more > limit {
			return "node(s) exceed max volume count"
		}
	}
	return ""
}

// driverVolumes are the volumes of one driver that a pod's claims need.
type driverVolumes struct {
	name    string
	volumes []attachable
	unmade  int
}

// addDriver takes in a volume, or, without a handle, one that isn't made yet.
func (c *claimed) addDriver(volume attachable) {
	if volume.driver == "" {
		return
	}
	var d *driverVolumes
	for i := range c.drivers {
		if c.drivers[i].name == volume.driver {
			d = &c.drivers[i]
		}
	}
	if d == nil {
		c.drivers = append(c.drivers, driverVolumes{name: volume.driver})
		d = &c.drivers[len(c.drivers)-1]
	}
	if volume.handle == "" {
		d.unmade++
	} else {
		d.volumes = append(d.volumes, volume)
	}
}
