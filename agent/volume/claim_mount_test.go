package volume

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	certificatesv1 "k8s.io/api/certificates/v1"
	v1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/events"
)

// objects are a feed with claims and volumes only.
type objects struct {
	claims  map[string]*v1.PersistentVolumeClaim
	volumes map[string]*v1.PersistentVolume
}

func (objects) ConfigMap(string, string) (*v1.ConfigMap, bool)        { return nil, false }
func (objects) Driver(string) (*storagev1.CSIDriver, bool)            { return nil, false }
func (objects) Attachment(string) (*storagev1.VolumeAttachment, bool) { return nil, false }
func (objects) Secret(string, string) (*v1.Secret, bool)              { return nil, false }
func (objects) TrustBundles() []*certificatesv1.ClusterTrustBundle    { return nil }
func (o objects) Claim(_, name string) (*v1.PersistentVolumeClaim, bool) {
	c, ok := o.claims[name]
	return c, ok
}
func (o objects) Volume(name string) (*v1.PersistentVolume, bool) {
	v, ok := o.volumes[name]
	return v, ok
}

func localVolume(name, path string) *v1.PersistentVolume {
	v := &v1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{provisionedBy: provisioner, annNode: "n1"}}}
	v.Spec.Local = &v1.LocalVolumeSource{Path: path}
	v.Spec.ClaimRef = &v1.ObjectReference{UID: "claim"}
	v.Spec.PersistentVolumeReclaimPolicy = v1.PersistentVolumeReclaimDelete
	return v
}

func boundClaim(volume string) *v1.PersistentVolumeClaim {
	c := &v1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{UID: "claim", Name: "data"}}
	c.Spec.VolumeName, c.Status.Phase = volume, v1.ClaimBound
	return c
}

func podOf(source v1.VolumeSource) *v1.Pod {
	pod := &v1.Pod{ObjectMeta: metav1.ObjectMeta{UID: "pod", Namespace: "default", Name: "p"}}
	pod.Spec.Volumes = []v1.Volume{{Name: "d", VolumeSource: source}}
	return pod
}

func claimSource(readOnly bool) v1.VolumeSource {
	return v1.VolumeSource{PersistentVolumeClaim: &v1.PersistentVolumeClaimVolumeSource{ClaimName: "data", ReadOnly: readOnly}}
}

func TestAClaimsFolder(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "volumes", "v1_default_data")
	o := objects{map[string]*v1.PersistentVolumeClaim{"data": boundClaim("v1")}, map[string]*v1.PersistentVolume{"v1": localVolume("v1", path)}}
	m := &Manager{Dir: filepath.Join(dir, "pods"), VolumesDir: filepath.Join(dir, "volumes"), Objects: o}
	for _, readOnly := range []bool{false, true} {
		got, err := m.Mount(t.Context(), podOf(claimSource(readOnly)))
		if err != nil {
			t.Fatal(err)
		}
		if got["d"] != (Mounted{Path: path, ReadOnly: readOnly}) {
			t.Errorf("mounted %+v", got["d"])
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o777 {
		t.Fatalf("the folder: %v %v", info, err)
	}
	if err := os.WriteFile(filepath.Join(path, "file"), []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := m.Unmount(t.Context(), "pod"); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(filepath.Join(path, "file")); err != nil || string(data) != "kept" {
		t.Fatalf("after unmount: %q %v", data, err)
	}
	for range 2 { // the second time it is gone already
		if err := m.RemoveFolder(o.volumes["v1"]); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is still there: %v", err)
	}
}

// Only folders directly below the node's own are made or removed.
func TestFoldersOfOthers(t *testing.T) {
	dir := t.TempDir()
	m := &Manager{VolumesDir: filepath.Join(dir, "volumes")}
	other := filepath.Join(dir, "other")
	if err := os.Mkdir(other, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{other, filepath.Join(dir, "volumes", "..", "other"), filepath.Join(dir, "volumes", "a", "b"), filepath.Join(dir, "volumes"), "/"} {
		if err := m.RemoveFolder(localVolume("v", path)); !errors.Is(err, events.ErrInvalid) {
			t.Errorf("remove %s: %v", path, err)
		}
	}
	stranger := localVolume("v", filepath.Join(dir, "volumes", "v"))
	stranger.Annotations = nil
	if err := m.RemoveFolder(stranger); !errors.Is(err, events.ErrInvalid) {
		t.Errorf("remove a stranger's: %v", err)
	}
	if _, err := m.folder(nil, stranger, false); err == nil {
		t.Error("a folder that isn't there was made for a stranger's volume")
	}
	if _, err := os.Stat(other); err != nil {
		t.Error(err)
	}
}

func TestClaimsThatCannotBeMounted(t *testing.T) {
	block := v1.PersistentVolumeBlock
	pending := boundClaim("v1")
	pending.Status.Phase = v1.ClaimPending
	blockVolume, misbound, remote := localVolume("v1", t.TempDir()), localVolume("v1", "/x"), localVolume("v1", "/x")
	blockVolume.Spec.VolumeMode = &block
	misbound.Spec.ClaimRef.UID = "another"
	remote.Spec.Local = nil
	remote.Spec.NFS = &v1.NFSVolumeSource{}
	for want, o := range map[string]objects{
		`persistentvolumeclaim "data" not found`:      {},
		`persistentvolumeclaim "data" is not bound`:   {claims: map[string]*v1.PersistentVolumeClaim{"data": pending}},
		`persistentvolume "v1" not found`:             {claims: map[string]*v1.PersistentVolumeClaim{"data": boundClaim("v1")}},
		`is not a block device`:                       {map[string]*v1.PersistentVolumeClaim{"data": boundClaim("v1")}, map[string]*v1.PersistentVolume{"v1": blockVolume}},
		`is not bound to persistentvolumeclaim "data`: {map[string]*v1.PersistentVolumeClaim{"data": boundClaim("v1")}, map[string]*v1.PersistentVolume{"v1": misbound}},
		`doesn't know volumes of the type`:            {map[string]*v1.PersistentVolumeClaim{"data": boundClaim("v1")}, map[string]*v1.PersistentVolume{"v1": remote}},
	} {
		m := &Manager{VolumesDir: t.TempDir(), Objects: o}
		if _, err := m.Mount(t.Context(), podOf(claimSource(false))); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, not %q", err, want)
		}
	}
	m := &Manager{Objects: objects{claims: map[string]*v1.PersistentVolumeClaim{"p-d": boundClaim("v1")}}}
	_, err := m.Mount(t.Context(), podOf(v1.VolumeSource{Ephemeral: &v1.EphemeralVolumeSource{}}))
	if err == nil || !strings.Contains(err.Error(), "was not created for pod default/p") {
		t.Errorf("somebody else's claim: %v", err)
	}
}

func TestGroupOfAVolume(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "f")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := giveTo(dir, os.Getgid(), nil); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]os.FileMode{dir: os.ModeDir | os.ModeSetgid | 0o070, file: 0o060} {
		group, mode, err := groupOf(path)
		if err != nil || group != os.Getgid() || mode&want != want {
			t.Errorf("%s: group %d, mode %s, %v", path, group, mode, err)
		}
	}
	policy := v1.FSGroupChangeOnRootMismatch
	if err := os.Chmod(file, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := giveTo(dir, os.Getgid(), &policy); err != nil {
		t.Fatal(err)
	}
	if _, mode, _ := groupOf(file); mode.Perm() != 0o600 {
		t.Errorf("a volume whose root is right was walked: %s", mode)
	}
}
