package eviction

import v1 "k8s.io/api/core/v1"

// Signal is something measured that thresholds are about.
type Signal string

// The signals, by the kubelet's names.
const (
	MemoryAvailable   Signal = "memory.available"
	NodeFsAvailable   Signal = "nodefs.available"
	NodeFsInodesFree  Signal = "nodefs.inodesFree"
	ImageFsAvailable  Signal = "imagefs.available"
	ImageFsInodesFree Signal = "imagefs.inodesFree"
	PIDAvailable      Signal = "pid.available"
)

// What else than resources of the API can be starved of.
const (
	inodes v1.ResourceName = "inodes"
	pids   v1.ResourceName = "pids"
)

type meaning struct {
	resource  v1.ResourceName
	condition v1.NodeConditionType
}

var meanings = map[Signal]meaning{
	MemoryAvailable:   {v1.ResourceMemory, v1.NodeMemoryPressure},
	NodeFsAvailable:   {v1.ResourceEphemeralStorage, v1.NodeDiskPressure},
	NodeFsInodesFree:  {inodes, v1.NodeDiskPressure},
	ImageFsAvailable:  {v1.ResourceEphemeralStorage, v1.NodeDiskPressure},
	ImageFsInodesFree: {inodes, v1.NodeDiskPressure},
	PIDAvailable:      {pids, v1.NodePIDPressure},
}

// Resource is what a signal is about, as messages name it.
func (s Signal) Resource() v1.ResourceName { return meanings[s].resource }

// Disk reports whether images and dead containers can be given up for it.
func (s Signal) Disk() bool { return meanings[s].condition == v1.NodeDiskPressure }
