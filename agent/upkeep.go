package agent

import (
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/agent/eviction"
	"github.com/reckon-project/reckon/agent/imagegc"
)

// Upkeep says how a node looks after itself. The zero value reserves nothing and
// evicts only pods that exceed limits of their own.
type Upkeep struct {
	// SystemReserved and KubeReserved are kept from pods.
	SystemReserved, KubeReserved v1.ResourceList

	// Eviction are the thresholds below which pods have to go.
	Eviction eviction.Settings
	// EvictionPeriod is how long it is from one look at what is left to the next (0: 10 s).
	EvictionPeriod time.Duration
	// EvictionTransition is how long a pressure stays after it was last seen (0: 5 m).
	EvictionTransition time.Duration
	// EvictionMaxGrace is the longest that a pod may take to end when a soft threshold is crossed.
	EvictionMaxGrace time.Duration

	// Images says when images that nobody needs go (the zero value: 85, 80 %, 2 m).
	Images imagegc.Policy
	// Pulls is how many images are pulled at once (0: 5).
	Pulls int
	// CredentialConfig is a kubelet's configuration file of credential providers, and
	// CredentialBin the folder with their programs; "": there are none.
	CredentialConfig, CredentialBin string

	// LogSize is the size above which a container's log is put aside (0: 10 MiB), and
	// LogFiles how many there are of one container then, with the newest (0: 5).
	LogSize  int64
	LogFiles int
}

const (
	usualPulls    = 5
	usualLogSize  = 10 << 20
	usualLogFiles = 5
	pulledFile    = "images.json"
	devicesDir    = "device-plugins"
)

var usualImages = imagegc.Policy{High: 85, Low: 80, MinAge: 2 * time.Minute}

// kept is what the hard thresholds keep from pods.
func (a *Agent) kept(capacity v1.ResourceList) v1.ResourceList {
	return v1.ResourceList{
		v1.ResourceMemory:           eviction.Reserve(a.thresholds, eviction.MemoryAvailable, capacity[v1.ResourceMemory]),
		v1.ResourceEphemeralStorage: eviction.Reserve(a.thresholds, eviction.NodeFsAvailable, capacity[v1.ResourceEphemeralStorage]),
	}
}
