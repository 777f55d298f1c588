package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// What pods see of their volumes, all on one node.
func TestVolumes(t *testing.T) {
	n := newNode(t)
	t.Run("a config map changes while it is read", n.changesConfigMap)
	t.Run("a subPath is a part of the volume", n.mountsSubPaths)
	t.Run("a subPath doesn't lead out of the volume", n.refusesSubPath)
	t.Run("memory has a size", n.fillsMemory)
	t.Run("a device is a device", n.givesDevice)
	t.Run("a device with a file system", n.mountsDevice)
	t.Run("what can't be mounted is told", n.tellsFailedMount)
	t.Run("mounts travel both ways", n.propagatesMounts)
	t.Run("what the runtime can't do is refused", n.refusesVolumes)
}

func (n *node) changesConfigMap(t *testing.T) {
	cm := &v1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "settings"}, Data: map[string]string{"a": "1", "b": "1"}}
	n.put("configmaps", cm)
	p := newPod("reader", "/bin/sh", "-c", `until test "$(cat /c/a)" = 2; do sleep 0.1; done; cat /c/..data/a /c/b; echo " $(ls /c)"`)
	p.Spec.RestartPolicy = v1.RestartPolicyNever
	mountVolume(p, "c", "/c", v1.VolumeSource{ConfigMap: &v1.ConfigMapVolumeSource{LocalObjectReference: v1.LocalObjectReference{Name: "settings"}}})
	n.run(p)
	n.await(p, "running", phaseIs(v1.PodRunning))
	cm.Data = map[string]string{"a": "2", "b": "2", "c": "2"}
	n.put("configmaps", cm)
	n.await(p, "succeeded", phaseIs(v1.PodSucceeded))
	n.awaitLog("reader", "22 a\nb\nc\n")
	n.gone(p)
}

func (n *node) mountsSubPaths(t *testing.T) {
	dir := t.TempDir()
	p := newPod("parts", "/bin/sh", "-c", "exec 2>&1; echo mine > /part/file; cat /one; touch /one; sleep 1000")
	p.Spec.Containers[0].Env = []v1.EnvVar{{Name: "WHO", Value: "me"}}
	mountVolume(p, "d", "/part", v1.VolumeSource{HostPath: &v1.HostPathVolumeSource{Path: dir}})
	if err := os.WriteFile(filepath.Join(dir, "single"), []byte("a file\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	c := &p.Spec.Containers[0]
	c.VolumeMounts[0].SubPathExpr = "of/$(WHO)"
	c.VolumeMounts = append(c.VolumeMounts, v1.VolumeMount{Name: "d", MountPath: "/one", SubPath: "single", ReadOnly: true})
	n.run(p)
	n.await(p, "ready", isReady)
	n.awaitLog("parts", "a file\ntouch: /one: Read-only file system\n")
	if data, err := os.ReadFile(filepath.Join(dir, "of", "me", "file")); err != nil || string(data) != "mine\n" {
		t.Errorf("the part holds %q, %v", data, err)
	}
	n.gone(p)
	if _, err := os.Stat(filepath.Join(dir, "of", "me", "file")); err != nil {
		t.Errorf("the volume's file went with the pod: %v", err)
	}
}

func (n *node) refusesSubPath(*testing.T) {
	p := newPod("escapes", "/bin/true")
	p.Spec.Volumes = []v1.Volume{{Name: "d", VolumeSource: v1.VolumeSource{EmptyDir: &v1.EmptyDirVolumeSource{}}}}
	first := p.Spec.Containers[0]
	first.Name, first.Command = "first", []string{"/busybox", "ln", "-s", "/etc", "/d/out"}
	first.VolumeMounts = []v1.VolumeMount{{Name: "d", MountPath: "/d"}}
	p.Spec.InitContainers = []v1.Container{first}
	p.Spec.Containers[0].VolumeMounts = []v1.VolumeMount{{Name: "d", MountPath: "/d", SubPath: "out"}}
	n.run(p)
	s, _ := n.await(p, "refused", waits("CreateContainerConfigError"))
	if got := s.ContainerStatuses[0].State.Waiting.Message; !strings.HasPrefix(got, `failed to prepare subPath for volumeMount "d" of container "main"`) {
		n.t.Errorf("it says %q", got)
	}
	n.gone(p)
}

func (n *node) fillsMemory(*testing.T) {
	p := newPod("memory", "/bin/sh", "-c", "exec 2>&1; cat /dev/zero > /m/f; /busybox stat -c %s /m/f; id -G; sleep 1000")
	p.Spec.SecurityContext = &v1.PodSecurityContext{FSGroup: new(int64(77)), RunAsUser: new(int64(5))}
	size := resource.MustParse("1Mi")
	mountVolume(p, "m", "/m", v1.VolumeSource{EmptyDir: &v1.EmptyDirVolumeSource{Medium: v1.StorageMediumMemory, SizeLimit: &size}})
	n.run(p)
	n.await(p, "ready", isReady)
	n.awaitLog("memory", "cat: write error: No space left on device\n1048576\n0 77\n")
	n.gone(p)
}

// loopDevice gives a device of 8 MiB that goes with the test.
func loopDevice(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, 8<<20); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("losetup", "--find", "--show", file).Output()
	if err != nil {
		t.Fatalf("make a loop device (apt-get install mount): %v", err)
	}
	device := strings.TrimSpace(string(out))
	t.Cleanup(func() {
		if out, err := exec.Command("losetup", "--detach", device).CombinedOutput(); err != nil {
			t.Errorf("detach %s: %v: %s", device, err, out)
		}
	})
	return device
}

// claim puts a claim on the feed, bound to a volume.
func (n *node) claim(name string, v *v1.PersistentVolume) *v1.PersistentVolumeClaim {
	claim := &v1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID("uid-of-" + name)}}
	claim.Spec.VolumeName, claim.Spec.VolumeMode, claim.Status.Phase = v.Name, v.Spec.VolumeMode, v1.ClaimBound
	claim.Status.Capacity = v.Spec.Capacity
	v.Spec.ClaimRef = &v1.ObjectReference{Namespace: "default", Name: name, UID: claim.UID}
	v.Status.Phase = v1.VolumeBound
	n.putGlobal("persistentvolumes", v)
	n.put("persistentvolumeclaims", claim)
	return claim
}

func (n *node) putGlobal(resource string, o metav1.Object) {
	o.SetNamespace("_")
	n.put(resource, o)
	o.SetNamespace("")
}

func localVolume(name, path string, mode v1.PersistentVolumeMode) *v1.PersistentVolume {
	v := &v1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("uid-of-" + name)}}
	v.Spec.VolumeMode, v.Spec.Local = &mode, &v1.LocalVolumeSource{Path: path}
	return v
}

func ofClaim(name string) v1.VolumeSource {
	return v1.VolumeSource{PersistentVolumeClaim: &v1.PersistentVolumeClaimVolumeSource{ClaimName: name}}
}

func mountVolume(p *v1.Pod, name, path string, source v1.VolumeSource) {
	p.Spec.Volumes = append(p.Spec.Volumes, v1.Volume{Name: name, VolumeSource: source})
	c := &p.Spec.Containers[0]
	c.VolumeMounts = append(c.VolumeMounts, v1.VolumeMount{Name: name, MountPath: path})
}

// gone removes a pod and waits until nothing of it is left on the node.
func (n *node) gone(p *v1.Pod) {
	n.t.Helper()
	now := metav1.Now()
	p.DeletionTimestamp, p.DeletionGracePeriodSeconds = &now, new(int64(0))
	n.run(p)
	n.remove(p)
	n.awaitNo(filepath.Join(n.options.Dir, "pods", string(p.UID)))
}

func (n *node) givesDevice(t *testing.T) {
	device := loopDevice(t)
	if err := os.WriteFile(device, []byte("from the node\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	n.claim("disk", localVolume("disk", device, v1.PersistentVolumeBlock))
	p := newPod("raw", "/bin/sh", "-c", "read line < /dev/disk; echo $line; test -b /dev/disk && echo from the pod > /dev/disk; sleep 1000")
	p.Spec.Volumes = []v1.Volume{{Name: "d", VolumeSource: ofClaim("disk")}}
	p.Spec.Containers[0].VolumeDevices = []v1.VolumeDevice{{Name: "d", DevicePath: "/dev/disk"}}
	n.run(p)
	n.await(p, "ready", isReady)
	n.awaitLog("raw", "from the node\n")
	n.awaitFile(device, "from the pod\n")
	n.gone(p)
}

func (n *node) mountsDevice(t *testing.T) {
	n.claim("fs", localVolume("fs", loopDevice(t), v1.PersistentVolumeFilesystem))
	for _, c := range []struct{ name, command, log string }{
		{"writer", "echo kept > /d/file; id -G; ls -n /d/file", "0 55\n"},
		{"rereader", "cat /d/file", "kept\n"},
	} {
		p := newPod(c.name, "/bin/sh", "-c", c.command+"; sleep 1000")
		p.Spec.SecurityContext = &v1.PodSecurityContext{FSGroup: new(int64(55)), RunAsUser: new(int64(5))}
		mountVolume(p, "d", "/d", ofClaim("fs"))
		n.run(p)
		n.await(p, "ready", isReady)
		n.awaitLogHas(c.name, c.log)
		n.gone(p)
	}
}

func (n *node) tellsFailedMount(*testing.T) {
	p := newPod("unmounted", "/bin/true")
	mountVolume(p, "c", "/c", v1.VolumeSource{ConfigMap: &v1.ConfigMapVolumeSource{LocalObjectReference: v1.LocalObjectReference{Name: "absent"}}})
	n.run(p)
	n.awaitNote(p, `MountVolume.SetUp failed for volume "c" : configmap "absent" not found`)
	n.gone(p)
}

// A privileged container mounts for the node (as CSI drivers in pods do), and another sees it.
func (n *node) propagatesMounts(t *testing.T) {
	dir := filepath.Join(n.options.Dir, "plugins", "mounter")
	pod := func(name, command string, mode v1.MountPropagationMode) *v1.Pod {
		p := newPod(name, "/bin/sh", "-c", command+"; sleep 1000")
		kind := v1.HostPathDirectoryOrCreate
		mountVolume(p, "d", "/d", v1.VolumeSource{HostPath: &v1.HostPathVolumeSource{Path: dir, Type: &kind}})
		p.Spec.Containers[0].VolumeMounts[0].MountPropagation = &mode
		return p
	}
	sees := pod("sees", "until test -e /d/m/file; do sleep 0.1; done; echo seen", v1.MountPropagationHostToContainer)
	n.run(sees)
	n.await(sees, "ready", isReady)
	mounts := pod("mounts", "/busybox mkdir -p /d/m; /busybox mount -t tmpfs none /d/m && touch /d/m/file", v1.MountPropagationBidirectional)
	mounts.Spec.Containers[0].SecurityContext = &v1.SecurityContext{Privileged: new(true)}
	n.run(mounts)
	n.awaitLog("sees", "seen\n")
	if _, err := os.Stat(filepath.Join(dir, "m", "file")); err != nil {
		t.Errorf("the node doesn't see it: %v", err)
	}
	n.gone(mounts)
	n.gone(sees)
	if err := unix.Unmount(filepath.Join(dir, "m"), unix.MNT_DETACH); err != nil {
		t.Errorf("what the container had mounted: %v", err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Error(err)
	}
}

// This containerd is older than 2.0: it would ignore both.
func (n *node) refusesVolumes(t *testing.T) {
	image := newPod("image", "/bin/true")
	mountVolume(image, "i", "/i", v1.VolumeSource{Image: &v1.ImageVolumeSource{Reference: busybox}})
	n.run(image)
	s, _ := n.await(image, "failed", phaseIs(v1.PodFailed))
	if want := "Pod was rejected: image volumes need containerd 2.0 or newer on this node"; s.Message != want {
		t.Errorf("it says %q", s.Message)
	}
	n.gone(image)
	deep := newPod("deep", "/bin/true")
	mountVolume(deep, "d", "/d", v1.VolumeSource{EmptyDir: &v1.EmptyDirVolumeSource{}})
	m := &deep.Spec.Containers[0].VolumeMounts[0]
	m.ReadOnly, m.RecursiveReadOnly = true, new(v1.RecursiveReadOnlyEnabled)
	n.run(deep)
	s, _ = n.await(deep, "refused", waits("CreateContainerConfigError"))
	if want := `volume "d" requested recursive read-only mode, but it is not supported by the runtime`; s.ContainerStatuses[0].State.Waiting.Message != want {
		t.Errorf("it says %q", s.ContainerStatuses[0].State.Waiting.Message)
	}
	n.gone(deep)
}
