package network

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
)

// conflist is the part of a CNI network configuration list that the node uses
// (https://www.cni.dev/docs/spec/#configuration-format).
type conflist struct {
	Version string   `json:"cniVersion"`
	Name    string   `json:"name"`
	Plugins []plugin `json:"plugins"`
}

type plugin struct {
	Type         string          `json:"type"`
	Bridge       string          `json:"bridge,omitempty"`
	IsGateway    bool            `json:"isGateway,omitempty"`
	HairpinMode  bool            `json:"hairpinMode,omitempty"`
	MTU          int             `json:"mtu,omitempty"`
	IPAM         *ipam           `json:"ipam,omitempty"`
	Capabilities map[string]bool `json:"capabilities,omitempty"`
	SNAT         bool            `json:"snat,omitempty"`
}

type ipam struct {
	Type    string         `json:"type"`
	DataDir string         `json:"dataDir"`
	Ranges  [][]ipamRange  `json:"ranges"`
	Routes  []ipamRouteDst `json:"routes"`
}

type ipamRange struct {
	Subnet string `json:"subnet"`
}

type ipamRouteDst struct {
	Dst string `json:"dst"`
}

func (o Options) conflist(n Network) conflist {
	return conflist{
		Version: "1.0.0",
		Name:    n.Bridge,
		Plugins: []plugin{
			{
				Type: "bridge", Bridge: n.Bridge, IsGateway: true, HairpinMode: true, MTU: n.MTU,
				IPAM: &ipam{
					Type: "host-local", DataDir: o.ipamDir(),
					Ranges: [][]ipamRange{{{n.PodCIDR.String()}}},
					Routes: []ipamRouteDst{{"0.0.0.0/0"}},
				},
			},
			{Type: "portmap", Capabilities: map[string]bool{"portMappings": true}, SNAT: true},
		},
	}
}

// writeConflist replaces the file as a whole: runtimes watch the folder.
func (o Options) writeConflist(n Network) error {
	data, err := json.MarshalIndent(o.conflist(n), "", "  ")
	if err != nil {
		return err
	}
	if have, err := os.ReadFile(o.confFile()); err == nil && string(have) == string(data) {
		return nil
	}
	if err := os.MkdirAll(o.confDir(), 0o755); err != nil {
		return err
	}
	temp := filepath.Join(o.Dir, "cni", "10-reckon.new")
	if err := os.WriteFile(temp, data, 0o644); err != nil {
		return err
	}
	return os.Rename(temp, o.confFile())
}

// keptPodCIDR is the range in the configuration of an earlier start, zero if there is none.
func (o Options) keptPodCIDR() (netip.Prefix, error) {
	data, err := os.ReadFile(o.confFile())
	if errors.Is(err, fs.ErrNotExist) {
		return netip.Prefix{}, nil
	} else if err != nil {
		return netip.Prefix{}, err
	}
	var c conflist
	if err := json.Unmarshal(data, &c); err != nil {
		return netip.Prefix{}, fmt.Errorf("%s: %w", o.confFile(), err)
	}
	for _, p := range c.Plugins {
		if p.IPAM != nil && len(p.IPAM.Ranges) > 0 && len(p.IPAM.Ranges[0]) > 0 {
			return netip.ParsePrefix(p.IPAM.Ranges[0][0].Subnet)
		}
	}
	return netip.Prefix{}, nil
}
