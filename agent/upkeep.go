package agent

import (
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/agent/eviction"
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
}

// kept is what the hard thresholds keep from pods.
func (a *Agent) kept(capacity v1.ResourceList) v1.ResourceList {
	return v1.ResourceList{
		v1.ResourceMemory:           eviction.Reserve(a.thresholds, eviction.MemoryAvailable, capacity[v1.ResourceMemory]),
		v1.ResourceEphemeralStorage: eviction.Reserve(a.thresholds, eviction.NodeFsAvailable, capacity[v1.ResourceEphemeralStorage]),
	}
}
