package network

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"path/filepath"

	"github.com/reckon-project/reckon/events"
)

// Options say which node's network it is.
type Options struct {
	// Dir is the node's data folder; the network's files go to Dir/cni.
	Dir string
	// PodCIDR is the node's pod range (IPv4, /16 to /28). Zero: the one that this
	// node had, otherwise the first free one of a few usual ranges.
	PodCIDR netip.Prefix
	// ClusterCIDR is the range of all nodes' pods, to where nothing is
	// masqueraded. Zero: PodCIDR.
	ClusterCIDR netip.Prefix
	// Avoid are ranges that a picked PodCIDR must not overlap, such as the services'.
	Avoid []netip.Prefix
	// NetnsDir is where the runtime mounts the pods' network namespaces; what is left there
	// is removed by Teardown. "": nothing is.
	NetnsDir string
}

// Network is what Setup made.
type Network struct {
	PodCIDR netip.Prefix
	Gateway netip.Addr // the node's address on the bridge
	Bridge  string     // interface name
	MTU     int
	ConfDir string // CNI configuration, for the runtime's conf_dir
}

// suffix tells the nodes of one machine apart.
func (o Options) suffix() string {
	dir := o.Dir
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	sum := sha256.Sum256([]byte(dir))
	return hex.EncodeToString(sum[:4])
}

func (o Options) bridge() string   { return "reckon" + o.suffix() }
func (o Options) confDir() string  { return filepath.Join(o.Dir, "cni", "net.d") }
func (o Options) confFile() string { return filepath.Join(o.confDir(), "10-reckon.conflist") }
func (o Options) ipamDir() string  { return filepath.Join(o.Dir, "cni", "ipam") }

func (o Options) check() error {
	if o.Dir == "" {
		return fmt.Errorf("%w: the network needs the node's data folder", events.ErrInvalid)
	}
	for _, p := range []netip.Prefix{o.PodCIDR, o.ClusterCIDR} {
		if p.IsValid() && !p.Addr().Is4() {
			return fmt.Errorf("%w: %s is not an IPv4 range", events.ErrInvalid, p)
		}
	}
	if p := o.PodCIDR; p.IsValid() && (p.Bits() < 16 || p.Bits() > 28) {
		return fmt.Errorf("%w: a node's pod range is a /16 to a /28, not %s", events.ErrInvalid, p)
	}
	return nil
}
