package volume

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	v1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"

	"github.com/reckon-project/reckon/events"
)

// Objects are the cluster's objects that volumes show, as the feed gave them.
type Objects interface {
	ConfigMap(namespace, name string) (*v1.ConfigMap, bool)
	Secret(namespace, name string) (*v1.Secret, bool)
	Claim(namespace, name string) (*v1.PersistentVolumeClaim, bool)
	Volume(name string) (*v1.PersistentVolume, bool)
}

// Tokens asks the API for a service account's token for a pod.
type Tokens interface {
	Token(ctx context.Context, pod *v1.Pod, audience string, seconds int64) (token string, expires time.Time, err error)
}

// Manager prepares the volumes of a node's pods.
type Manager struct {
	Dir         string // the pods' folder
	VolumesDir  string // where the node's own persistent volumes lie
	Objects     Objects
	Tokens      Tokens
	Clock       clock.Clock
	Allocatable v1.ResourceList

	mu     sync.Mutex
	tokens map[tokenKey]issued
}

// Mount implements pod.Volumes.
func (m *Manager) Mount(ctx context.Context, pod *v1.Pod) (map[string]Mounted, error) {
	out := make(map[string]Mounted, len(pod.Spec.Volumes))
	for i := range pod.Spec.Volumes {
		v := &pod.Spec.Volumes[i]
		mounted, err := m.mountOne(ctx, pod, v)
		if err != nil {
			return nil, fmt.Errorf("MountVolume.SetUp failed for volume %q: %w", v.Name, err)
		}
		out[v.Name] = mounted
	}
	return out, nil
}

func (m *Manager) mountOne(ctx context.Context, pod *v1.Pod, v *v1.Volume) (Mounted, error) {
	path := filepath.Join(m.podDir(string(pod.UID)), v.Name)
	switch {
	case v.HostPath != nil:
		return Mounted{Path: v.HostPath.Path}, checkHostPath(v.HostPath)
	case v.EmptyDir != nil:
		return Mounted{Path: path}, mountEmptyDir(path, v.EmptyDir, fsGroup(pod))
	case v.PersistentVolumeClaim != nil || v.Ephemeral != nil:
		return m.mountClaim(pod, v)
	}
	files, memory, err := m.files(ctx, pod, v)
	if err != nil {
		return Mounted{}, err
	}
	if err := os.MkdirAll(path, 0o755); err != nil {
		return Mounted{}, err
	}
	if memory {
		if err := mountMemory(path, "mode=0755,size=16m"); err != nil {
			return Mounted{}, err
		}
	}
	return Mounted{Path: path, ReadOnly: true}, writeAtomically(path, files, m.Clock.Now(), fsGroup(pod))
}

// files gives the content of a volume that is made of files, and whether it is
// to be kept in memory.
func (m *Manager) files(ctx context.Context, pod *v1.Pod, v *v1.Volume) (files, bool, error) {
	out := files{}
	switch {
	case v.ConfigMap != nil:
		s := v.ConfigMap
		return out, false, m.addConfigMap(out, pod, s.Name, s.Items, s.DefaultMode, s.Optional)
	case v.Secret != nil:
		s := v.Secret
		return out, true, m.addSecret(out, pod, s.SecretName, s.Items, s.DefaultMode, s.Optional)
	case v.DownwardAPI != nil:
		return out, false, m.addDownward(out, pod, v.DownwardAPI.Items, v.DownwardAPI.DefaultMode)
	case v.Projected != nil:
		return out, true, m.addProjected(ctx, out, pod, v.Name, v.Projected)
	}
	return nil, false, fmt.Errorf("%w: this node doesn't know volumes of this type", events.ErrInvalid)
}

// Unmount implements pod.Volumes.
func (m *Manager) Unmount(_ context.Context, uid string) error {
	m.forget(uid)
	dir := m.podDir(uid)
	entries, err := os.ReadDir(dir)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if err := unix.Unmount(path, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil && err != unix.EINVAL {
			return fmt.Errorf("unmount volume %s: %w", path, err)
		}
	}
	return os.RemoveAll(dir)
}

func (m *Manager) podDir(uid string) string { return filepath.Join(m.Dir, uid, "volumes") }

func fsGroup(pod *v1.Pod) *int64 {
	if pod.Spec.SecurityContext == nil {
		return nil
	}
	return pod.Spec.SecurityContext.FSGroup
}
