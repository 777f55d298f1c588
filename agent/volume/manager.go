package volume

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	v1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/utils/clock"

	"github.com/reckon-project/reckon/agent/csi"
	"github.com/reckon-project/reckon/events"
)

// Objects are the cluster's objects that volumes show, as the feed gave them.
type Objects interface {
	ConfigMap(namespace, name string) (*v1.ConfigMap, bool)
	Secret(namespace, name string) (*v1.Secret, bool)
	Claim(namespace, name string) (*v1.PersistentVolumeClaim, bool)
	Volume(name string) (*v1.PersistentVolume, bool)
	// TrustBundles are all of the cluster's, in any order.
	TrustBundles() []*certificatesv1.ClusterTrustBundle
	Driver(name string) (*storagev1.CSIDriver, bool)
	Attachment(name string) (*storagev1.VolumeAttachment, bool)
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
	Node        string
	CSI         *csi.Node     // nil: there are no drivers
	Resized     func(Resized) // tells what became of a claim's expansion

	formats sync.Mutex // one device is looked at and formatted at a time

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
			name, spec := v.Name, (*specError)(nil)
			if errors.As(err, &spec) {
				name = spec.name
			}
			step, stage := "SetUp", (*csi.StageError)(nil)
			if errors.As(err, &stage) {
				step = "MountDevice"
			}
			return nil, fmt.Errorf("MountVolume.%s failed for volume %q : %w", step, name, err)
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
		return Mounted{Path: path}, m.mountEmptyDir(path, pod, v.EmptyDir)
	case v.PersistentVolumeClaim != nil || v.Ephemeral != nil:
		return m.mountClaim(ctx, pod, v)
	case v.CSI != nil:
		return m.mountInline(ctx, pod, v)
	case v.Image != nil:
		return Mounted{Image: v.Image, ReadOnly: true}, nil
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
	return nil, false, failf(events.ErrInvalid, "no volume plugin matched: this node doesn't know volumes of this type")
}

// Unmount implements pod.Volumes.
func (m *Manager) Unmount(ctx context.Context, uid string) error {
	m.forget(uid)
	dir, err := filepath.EvalSymlinks(filepath.Join(m.Dir, uid)) // as the kernel names what is mounted
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err // nothing is removed while something may be mounted
	}
	if err := unmountAll(filepath.Join(dir, subPaths)); err != nil {
		return err
	}
	if m.CSI != nil {
		if err := m.CSI.Unpublish(ctx, uid); err != nil {
			return err
		}
	}
	if err := unmountAll(filepath.Join(dir, "volumes")); err != nil {
		return err
	}
	for _, name := range []string{subPaths, "volumeDevices", "volumes"} {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// subPaths is the folder of a pod that parts of its volumes are mounted in.
const subPaths = "volume-subpaths"

// SubPathTarget is where a part of a volume is to be mounted for the n-th mount of a container.
func SubPathTarget(podDir, volume, container string, n int) string {
	return filepath.Join(podDir, subPaths, volume, container, strconv.Itoa(n))
}

func (m *Manager) podDir(uid string) string { return filepath.Join(m.Dir, uid, "volumes") }

func fsGroup(pod *v1.Pod) *int64 {
	if pod.Spec.SecurityContext == nil {
		return nil
	}
	return pod.Spec.SecurityContext.FSGroup
}
