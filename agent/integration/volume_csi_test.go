package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	v1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	csinode "github.com/reckon-project/reckon/agent/csi"
	"github.com/reckon-project/reckon/test/csidriver"
)

const driverName = "test.csi.reckon.dev"

// drivers is a node with a CSI driver beside it.
type drivers struct {
	*node
	api    *writtenCSINode
	driver *csidriver.Driver
	leave  func() // takes the driver's registration away
	stop   func() // ends it
}

// The story of CSI volumes on one node, from the driver's registration to the end of the last pod.
func TestCSI(t *testing.T) {
	d := &drivers{node: newNode(t), api: &writtenCSINode{}}
	d.halt()
	d.options.API = d.api
	var err error
	if d.driver, err = csidriver.New(csidriver.Options{Name: driverName, Dir: t.TempDir(), NodeID: "id-of-n1", MaxVolumes: 7, Attached: true,
		Topology: map[string]string{driverName + "/zone": "a"}}); err != nil {
		t.Fatal(err)
	}
	d.node.start()
	t.Run("a driver registers", d.registers)
	d.putGlobal("csidrivers", &storagev1.CSIDriver{ObjectMeta: metav1.ObjectMeta{Name: driverName}, Spec: storagev1.CSIDriverSpec{
		PodInfoOnMount: new(true), TokenRequests: []storagev1.TokenRequest{{Audience: "vault"}},
		VolumeLifecycleModes: []storagev1.VolumeLifecycleMode{storagev1.VolumeLifecyclePersistent, storagev1.VolumeLifecycleEphemeral},
	}})
	t.Run("a persistent volume", d.persistent)
	t.Run("an inline volume", d.inline)
	t.Run("a block volume", d.block)
	t.Run("a driver that is away", d.away)
	d.leave()
	d.until("the driver is out of the CSINode", func() bool { return len(d.api.drivers()) == 0 })
	d.stop()
}

// serve starts the driver and registers it.
func (d *drivers) serve(t *testing.T) {
	t.Helper()
	socket := filepath.Join(d.options.Dir, "plugins", "test.sock")
	var err error
	if d.stop, err = d.driver.Serve(socket); err != nil {
		t.Fatal(err)
	}
	r, leave, err := d.driver.Register(filepath.Join(d.options.Dir, "plugins_registry"), socket)
	if err != nil {
		t.Fatal(err)
	}
	d.leave = func() {
		leave()
		if err := os.Remove(socket); err != nil && !os.IsNotExist(err) {
			d.node.t.Error(err)
		}
	}
	select {
	case failed := <-r.Told:
		if failed != "" {
			t.Fatalf("the driver isn't registered: %s", failed)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the driver isn't registered in half a minute")
	}
}

func (d *drivers) registers(t *testing.T) {
	d.until("the folder of plugins", func() bool {
		_, err := os.Stat(filepath.Join(d.options.Dir, "plugins_registry"))
		return err == nil
	})
	d.serve(t)
	all := d.api.drivers()
	if len(all) != 1 || all[0].Name != driverName || all[0].NodeID != "id-of-n1" || *all[0].Allocatable.Count != 7 || !slices.Equal(all[0].TopologyKeys, []string{driverName + "/zone"}) {
		t.Errorf("the CSINode has %+v", all)
	}
}

// volume makes a volume at the driver, and a persistent volume of it with its claim.
func (d *drivers) volume(t *testing.T, name string, c *csi.VolumeCapability) (*v1.PersistentVolume, *v1.PersistentVolumeClaim) {
	t.Helper()
	c.AccessMode = &csi.VolumeCapability_AccessMode{Mode: csi.VolumeCapability_AccessMode_SINGLE_NODE_MULTI_WRITER}
	made, err := d.driver.CreateVolume(t.Context(), &csi.CreateVolumeRequest{Name: name, VolumeCapabilities: []*csi.VolumeCapability{c}})
	if err != nil {
		t.Fatal(err)
	}
	v := &v1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "pv-" + name, UID: "uid-of-pv"}}
	v.Spec.Capacity = v1.ResourceList{v1.ResourceStorage: resource.MustParse("1Mi")}
	v.Spec.AccessModes = []v1.PersistentVolumeAccessMode{v1.ReadWriteOnce}
	v.Spec.CSI = &v1.CSIPersistentVolumeSource{Driver: driverName, VolumeHandle: made.Volume.VolumeId, FSType: "ext4"}
	if c.GetBlock() != nil {
		v.Spec.VolumeMode = new(v1.PersistentVolumeBlock)
	}
	return v, d.claim(name, v)
}

// attach puts a volume's attachment on the feed.
func (d *drivers) attach(v *v1.PersistentVolume, attached bool) {
	a := &storagev1.VolumeAttachment{ObjectMeta: metav1.ObjectMeta{Name: csinode.AttachmentName(v.Spec.CSI.VolumeHandle, driverName, "n1")}}
	a.Spec.NodeName, a.Spec.Source.PersistentVolumeName = "n1", &v.Name
	a.Status.Attached = attached
	if attached {
		a.Status.AttachmentMetadata = map[string]string{"attached": "true"}
	}
	d.putGlobal("volumeattachments", a)
}

var mountable = &csi.VolumeCapability{AccessType: &csi.VolumeCapability_Mount{Mount: &csi.VolumeCapability_MountVolume{}}}

func (d *drivers) persistent(t *testing.T) {
	v, claim := d.volume(t, "data", mountable)
	d.attach(v, false)
	pod := func(name, command string) *v1.Pod {
		p := newPod(name, "/bin/sh", "-c", command+"; sleep 1000")
		p.Spec.SecurityContext = &v1.PodSecurityContext{FSGroup: new(int64(66)), RunAsUser: new(int64(5))}
		mountVolume(p, "d", "/d", ofClaim("data"))
		return d.run(p)
	}
	first := pod("first", "echo kept > /d/file")
	d.awaitNote(first, "waiting for external-attacher of "+driverName+" CSI driver to attach volume "+v.Spec.CSI.VolumeHandle)
	d.attach(v, true)
	d.await(first, "ready", isReady)
	d.awaitInUse(v1.UniqueVolumeName("kubernetes.io/csi/" + driverName + "^" + v.Spec.CSI.VolumeHandle))

	second := pod("second", "cat /d/file; /busybox stat -c %g /d")
	d.await(second, "ready", isReady)
	d.awaitLog("second", "kept\n66\n")

	v.Spec.Capacity = v1.ResourceList{v1.ResourceStorage: resource.MustParse("2Mi")}
	d.putGlobal("persistentvolumes", v)
	d.awaitClaim(claim, `"2Mi"`)
	grown := claim.DeepCopy()
	grown.Status.Capacity = v.Spec.Capacity
	d.put("persistentvolumeclaims", grown)
	if calls := d.driver.Calls("NodeExpandVolume"); len(calls) == 0 || calls[0].Request.(*csi.NodeExpandVolumeRequest).CapacityRange.RequiredBytes != 2<<20 {
		t.Errorf("the driver was told to grow: %v", calls)
	}

	// A new agent finds all as it was, and asks the driver nothing but who it is.
	before := len(d.driver.Calls("NodeStageVolume", "NodePublishVolume"))
	d.halt()
	d.node.start()
	third := pod("third", "cat /d/file")
	d.await(third, "ready", isReady)
	d.awaitLog("third", "kept\n")
	if calls := d.driver.Calls("NodeStageVolume", "NodePublishVolume")[before:]; len(calls) != 1 || calls[0].Method != "NodePublishVolume" {
		t.Errorf("the driver was asked again: %v", calls)
	}

	d.gone(first)
	d.gone(second)
	if calls := d.driver.Calls("NodeUnstageVolume"); len(calls) != 0 {
		t.Errorf("the volume was unstaged while a pod has it: %v", calls)
	}
	d.gone(third)
	if published, unpublished, unstaged := d.driver.Calls("NodePublishVolume"), d.driver.Calls("NodeUnpublishVolume"), d.driver.Calls("NodeUnstageVolume"); len(published) != 3 || len(unpublished) != 3 || len(unstaged) != 1 {
		t.Errorf("published %d, unpublished %d, unstaged %d", len(published), len(unpublished), len(unstaged))
	}
	d.awaitInUse()
	d.nothingMounted(t)
}

func (d *drivers) inline(t *testing.T) {
	p := newPod("inline", "/bin/sh", "-c", "touch /d/file && ls /d; sleep 1000")
	p.Spec.ServiceAccountName = "teller"
	mountVolume(p, "d", "/d", v1.VolumeSource{CSI: &v1.CSIVolumeSource{Driver: driverName, VolumeAttributes: map[string]string{"mine": "yes"}}})
	d.run(p)
	d.await(p, "ready", isReady)
	d.awaitLog("inline", "file\n")
	calls := d.driver.Calls("NodePublishVolume")
	r := calls[len(calls)-1].Request.(*csi.NodePublishVolumeRequest)
	got := r.VolumeContext
	if !strings.Contains(got["csi.storage.k8s.io/serviceAccount.tokens"], `"vault":{"token":"token-of-teller"`) {
		t.Errorf("its tokens: %s", got["csi.storage.k8s.io/serviceAccount.tokens"])
	}
	delete(got, "csi.storage.k8s.io/serviceAccount.tokens")
	want := map[string]string{"mine": "yes", "csi.storage.k8s.io/ephemeral": "true", "csi.storage.k8s.io/pod.name": "inline", "csi.storage.k8s.io/pod.namespace": "default",
		"csi.storage.k8s.io/pod.uid": string(p.UID), "csi.storage.k8s.io/serviceAccount.name": "teller"}
	if fmt.Sprint(got) != fmt.Sprint(want) || r.VolumeId != csinode.EphemeralHandle(string(p.UID), "d") || r.StagingTargetPath != "" {
		t.Errorf("the driver was asked for %v", r)
	}
	d.gone(p)
	d.nothingMounted(t)
}

func (d *drivers) block(t *testing.T) {
	v, _ := d.volume(t, "disk", &csi.VolumeCapability{AccessType: &csi.VolumeCapability_Block{Block: &csi.VolumeCapability_BlockVolume{}}})
	d.attach(v, true)
	for _, c := range []struct{ name, command, log string }{
		{"one", "test -b /dev/disk && echo through the device > /dev/disk && echo written", "written\n"},
		{"two", "read line < /dev/disk; echo $line", "through the device\n"},
	} {
		p := newPod(c.name, "/bin/sh", "-c", c.command+"; sleep 1000")
		p.Spec.Volumes = []v1.Volume{{Name: "d", VolumeSource: ofClaim("disk")}}
		p.Spec.Containers[0].VolumeDevices = []v1.VolumeDevice{{Name: "d", DevicePath: "/dev/disk"}}
		d.run(p)
		d.await(p, "ready", isReady)
		d.awaitLog(c.name, c.log)
		d.gone(p)
	}
	d.nothingMounted(t)
}

// A pod that ends while its driver is away goes when the driver is back.
func (d *drivers) away(t *testing.T) {
	v, _ := d.volume(t, "late", mountable)
	d.attach(v, true)
	p := newPod("late", "/bin/sleep", "1000")
	mountVolume(p, "d", "/d", ofClaim("late"))
	d.run(p)
	d.await(p, "ready", isReady)
	d.leave()
	d.stop()
	d.until("the driver is out of the CSINode", func() bool { return len(d.api.drivers()) == 0 })
	before := len(d.driver.Calls("NodeUnpublishVolume"))
	now := metav1.Now()
	p.DeletionTimestamp, p.DeletionGracePeriodSeconds = &now, new(int64(0))
	d.run(p)
	d.remove(p)
	d.await(p, "stopped", func(s v1.PodStatus) bool {
		return len(s.ContainerStatuses) == 1 && s.ContainerStatuses[0].State.Terminated != nil
	})
	if _, err := os.Stat(filepath.Join(d.options.Dir, "pods", string(p.UID))); err != nil {
		t.Errorf("the pod went without its driver: %v", err)
	}
	d.serve(t)
	d.awaitNo(filepath.Join(d.options.Dir, "pods", string(p.UID)))
	if got := len(d.driver.Calls("NodeUnpublishVolume")) - before; got != 1 {
		t.Errorf("it was unpublished %d times", got)
	}
	d.nothingMounted(t)
}

// nothingMounted checks that drivers left nothing below the node's folder.
func (d *drivers) nothingMounted(t *testing.T) {
	t.Helper()
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if path := strings.Fields(line)[4]; strings.HasPrefix(path, d.options.Dir) && strings.Contains(path, "kubernetes.io") {
			t.Errorf("still mounted: %s", path)
		}
	}
	left, err := filepath.Glob(filepath.Join(d.options.Dir, "plugins", "kubernetes.io", "csi", driverName, "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("still staged: %v, %v", left, err)
	}
}

// awaitInUse waits until the node reports exactly these volumes in use.
func (d *drivers) awaitInUse(names ...v1.UniqueVolumeName) {
	d.t.Helper()
	d.awaitFact("fact.n1.core.nodes._.n1", fmt.Sprintf("volumes in use: %v", names), func(data []byte) bool {
		var p struct {
			Status struct{ VolumesInUse *[]v1.UniqueVolumeName }
		}
		return json.Unmarshal(data, &p) == nil && p.Status.VolumesInUse != nil && slices.Equal(*p.Status.VolumesInUse, names)
	})
}

func (d *drivers) awaitClaim(c *v1.PersistentVolumeClaim, size string) {
	d.t.Helper()
	d.awaitFact("fact.n1.core.persistentvolumeclaims.default."+c.Name, "a size of "+size, func(data []byte) bool {
		return strings.Contains(string(data), `"capacity":{"storage":`+size)
	})
}

// awaitFact waits until the newest fact of a subject is as wanted.
func (d *drivers) awaitFact(subject, what string, is func(data []byte) bool) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), 30*time.Second)
	defer cancel()
	last := ""
	for batch, err := range d.bus.Log().Follow(ctx, 1, subject) {
		if err != nil {
			break
		}
		for _, e := range batch {
			last = string(e.Data)
		}
		if is([]byte(last)) {
			return
		}
	}
	d.t.Fatalf("no %s; the last said was %s", what, last)
}

// writtenCSINode takes what an agent asks of the API and keeps the CSINode.
type writtenCSINode struct {
	mu   sync.Mutex
	node *storagev1.CSINode
}

func (a *writtenCSINode) drivers() []storagev1.CSINodeDriver {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.node == nil {
		return nil
	}
	return slices.Clone(a.node.Spec.Drivers)
}

func (a *writtenCSINode) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.Contains(r.URL.Path, "/csinodes") {
		return fakeAPI{}.RoundTrip(r)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if r.Method == http.MethodGet && a.node == nil {
		return answer(http.StatusNotFound, metav1.Status{Reason: metav1.StatusReasonNotFound, Message: "not found"}), nil
	}
	if r.Method != http.MethodGet {
		a.node = &storagev1.CSINode{}
		if err := json.NewDecoder(r.Body).Decode(a.node); err != nil {
			return nil, err
		}
	}
	return answer(http.StatusOK, a.node), nil
}
