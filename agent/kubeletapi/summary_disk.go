package kubeletapi

import (
	"path/filepath"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	stats "k8s.io/kubelet/pkg/apis/stats/v1alpha1"

	"github.com/reckon-project/reckon/agent/machine"
	"github.com/reckon-project/reckon/agent/measure"
	"github.com/reckon-project/reckon/agent/pod"
)

// walkedFor is how long a folder's size is good for: to learn it costs a walk.
const walkedFor = time.Minute

// walks remembers the sizes of folders.
type walks struct {
	mu   sync.Mutex
	seen map[string]walked
}

type walked struct {
	at   time.Time
	used machine.Used
}

// use is machine.Use of a minute ago or less. What can't be read uses nothing.
func (s *Server) use(path string) (machine.Used, time.Time) {
	now := s.Clock.Now()
	s.walks.mu.Lock()
	have, ok := s.walks.seen[path]
	s.walks.mu.Unlock()
	if ok && now.Sub(have.at) < walkedFor {
		return have.used, have.at
	}
	used, err := machine.Use(path)
	if err != nil {
		s.Log.Debug("a folder wasn't measured", "path", path, "err", err)
	}
	s.walks.mu.Lock()
	defer s.walks.mu.Unlock()
	for path, w := range s.walks.seen {
		if now.Sub(w.at) >= walkedFor {
			delete(s.walks.seen, path)
		}
	}
	if s.walks.seen == nil {
		s.walks.seen = map[string]walked{}
	}
	s.walks.seen[path] = walked{now, used}
	return used, now
}

// addDisks adds what the pod's containers, logs and volumes take.
func (s *Server) addDisks(p *stats.PodStats, view *pod.View, containers []measure.Container) {
	if s.Root == "" {
		return
	}
	total := machine.Used{}
	for i := range p.Containers {
		c, layer := &p.Containers[i], containers[i].Stats.GetWritableLayer()
		if layer != nil {
			c.Rootfs = s.fs(s.Root, machine.Used{Bytes: int64(layer.GetUsedBytes().GetValue()), Inodes: int64(layer.GetInodesUsed().GetValue())}, time.Unix(0, layer.Timestamp))
			total.Bytes += int64(layer.GetUsedBytes().GetValue())
			total.Inodes += int64(layer.GetInodesUsed().GetValue())
		}
		used, when := s.use(filepath.Join(pod.LogDir(s.Root, view.Pod), c.Name))
		c.Logs = s.fs(s.Root, used, when)
		total.Bytes, total.Inodes = total.Bytes+used.Bytes, total.Inodes+used.Inodes
	}
	for i := range view.Pod.Spec.Volumes {
		volume := &view.Pod.Spec.Volumes[i]
		if volume.HostPath != nil || volume.Image != nil {
			continue // it isn't the pod's
		}
		path := s.VolumePath(string(view.Pod.UID), volume.Name)
		used, when := s.use(path)
		fs := s.fs(path, used, when)
		if fs == nil {
			continue // it isn't mounted
		}
		out := stats.VolumeStats{Name: volume.Name, FsStats: *fs}
		if claim := claimOf(view.Pod, volume); claim != "" {
			out.PVCRef = &stats.PVCReference{Namespace: view.Pod.Namespace, Name: claim}
		} else if volume.EmptyDir == nil || volume.EmptyDir.Medium == v1.StorageMediumDefault {
			total.Bytes, total.Inodes = total.Bytes+used.Bytes, total.Inodes+used.Inodes
		}
		p.VolumeStats = append(p.VolumeStats, out)
	}
	p.EphemeralStorage = s.fs(s.Root, total, s.Clock.Now())
}

// claimOf names the claim that a volume is, or "".
func claimOf(p *v1.Pod, volume *v1.Volume) string {
	switch {
	case volume.PersistentVolumeClaim != nil:
		return volume.PersistentVolumeClaim.ClaimName
	case volume.Ephemeral != nil:
		return p.Name + "-" + volume.Name
	}
	return ""
}

// fs is something used on the file system of a path; nil if there is none.
func (s *Server) fs(path string, used machine.Used, when time.Time) *stats.FsStats {
	d, err := machine.Disk(path)
	if err != nil {
		return nil
	}
	out := &stats.FsStats{
		Time: metav1.NewTime(when), AvailableBytes: positive(d.Available), CapacityBytes: positive(d.Capacity),
		UsedBytes: positive(used.Bytes), InodesUsed: positive(used.Inodes),
	}
	if d.Inodes > 0 {
		out.Inodes, out.InodesFree = positive(d.Inodes), positive(d.InodesFree)
	}
	return out
}

// addNodeDisks adds the file system that holds everything of the node.
func (s *Server) addNodeDisks(n *stats.NodeStats) {
	d, err := machine.Disk(s.Root)
	if err != nil {
		return
	}
	n.Fs = s.fs(s.Root, machine.Used{Bytes: d.Capacity - d.Available, Inodes: d.Inodes - d.InodesFree}, s.Clock.Now())
	n.Runtime = &stats.RuntimeStats{ImageFs: n.Fs, ContainerFs: n.Fs}
}

func positive(n int64) *uint64 {
	u := uint64(max(n, 0))
	return &u
}
