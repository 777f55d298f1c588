package volume

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	v1 "k8s.io/api/core/v1"
	testclock "k8s.io/utils/clock/testing"
)

// What a pod changed at its volumes stays so: they are brought up to date again and again.
func TestModesAreThePodsToChange(t *testing.T) {
	dir, data := t.TempDir(), t.TempDir()
	m := &Manager{Dir: dir, Clock: testclock.NewFakeClock(time.Unix(100, 0)), Objects: objects{
		claims:  map[string]*v1.PersistentVolumeClaim{"data": boundClaim("pv")},
		volumes: map[string]*v1.PersistentVolume{"pv": localVolume("pv", data)},
	}}
	p := podOf(v1.VolumeSource{EmptyDir: &v1.EmptyDirVolumeSource{}})
	p.Spec.Volumes = append(p.Spec.Volumes, v1.Volume{Name: "memory", VolumeSource: v1.VolumeSource{EmptyDir: &v1.EmptyDirVolumeSource{Medium: v1.StorageMediumMemory}}},
		v1.Volume{Name: "claim", VolumeSource: claimSource(false)})
	p.Spec.SecurityContext = &v1.PodSecurityContext{FSGroup: ptr(int64(7))}
	key := filepath.Join(data, "key")
	if err := os.WriteFile(key, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	mount := func() map[string]Mounted {
		t.Helper()
		out, err := m.Mount(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	all := mount()
	paths := []string{all["d"].Path, all["memory"].Path, key}
	for i, want := range []os.FileMode{os.ModeDir | os.ModeSetgid | 0o777, os.ModeDir | os.ModeSetgid | 0o777, 0o660} {
		if group, mode, err := groupOf(paths[i]); err != nil || group != 7 || mode != want {
			t.Errorf("%s: group %d, mode %s, %v", paths[i], group, mode, err)
		}
		if err := os.Chmod(paths[i], 0o700); err != nil {
			t.Fatal(err)
		}
	}
	mount()
	m = &Manager{Dir: dir, Clock: m.Clock, Objects: m.Objects} // the agent begins anew
	mount()
	for _, path := range paths {
		if info, err := os.Stat(path); err != nil || info.Mode()&(os.ModePerm|os.ModeSetgid) != 0o700 {
			t.Errorf("%s is %s again, %v", path, info.Mode(), err)
		}
	}
	if err := m.Unmount(t.Context(), string(p.UID)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(key); err != nil {
		t.Errorf("the volume's file: %v", err)
	}
}

// An agent that is killed after the new files are shown and before they have their
// names gives them those when it is there again.
func TestFilesGetTheirNamesAfterAKill(t *testing.T) {
	root := t.TempDir()
	want := files{"a": {data: []byte("1"), mode: 0o644}}
	if err := writeAtomically(root, want, time.Unix(1, 0), nil); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(root, "a")); err != nil { // it came that far
		t.Fatal(err)
	}
	for _, left := range []string{"gone", "..1970_01_01_00_00_00.000000000/x"} {
		path := filepath.Join(root, left)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := writeAtomically(root, want, time.Unix(2, 0), nil); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(filepath.Join(root, "a")); err != nil || string(data) != "1" {
		t.Errorf("the file holds %q, %v", data, err)
	}
	entries, err := os.ReadDir(root)
	if err != nil || len(entries) != 3 { // a, ..data and one folder
		t.Errorf("what is left: %v, %v", entries, err)
	}
}

// What is mounted for a pod is unmounted, not emptied, also when the agent's folder is behind a link.
func TestNothingIsRemovedBehindALink(t *testing.T) {
	real, data := t.TempDir(), t.TempDir()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(real, link); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(data, "precious")
	target := filepath.Join(real, "pod", "volumes", "kubernetes.io~local-volume", "pv")
	for _, err := range []error{os.WriteFile(file, nil, 0o600), os.MkdirAll(target, 0o700), unix.Mount(data, target, "", unix.MS_BIND, "")} {
		if err != nil {
			t.Fatal(err)
		}
	}
	m := &Manager{Dir: link}
	if err := m.Unmount(t.Context(), "pod"); err != nil {
		t.Error(err)
	}
	if err := unmountAll(target); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(file); err != nil {
		t.Errorf("the volume's file: %v", err)
	}
}
