package csi_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	spec "github.com/container-storage-interface/spec/lib/go/csi"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	v1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/utils/clock"

	"github.com/reckon-project/reckon/agent/csi"
	"github.com/reckon-project/reckon/test/csidriver"
)

const name = "test.csi.reckon.dev"

// bench is a driver and the agent's side of it, which may be made anew.
type bench struct {
	t      *testing.T
	dir    string
	driver *csidriver.Driver
	socket string
	node   *csi.Node
	api    *cluster
}

// cluster keeps what the API is told.
type cluster struct {
	mu      sync.Mutex
	drivers map[string]storagev1.CSINodeDriver
	failing int // calls that fail first
	told    func()
}

func (c *cluster) SetCSIDriver(_ context.Context, d storagev1.CSINodeDriver, _ map[string]string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failing > 0 {
		c.failing--
		return errors.New("the API is away")
	}
	c.drivers[d.Name] = d
	if c.told != nil {
		c.told()
	}
	return nil
}

func (c *cluster) RemoveCSIDriver(_ context.Context, name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.drivers, name)
	return nil
}

func (c *cluster) has(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.drivers[name]
	return ok
}

func newBench(t *testing.T, o csidriver.Options) *bench {
	t.Helper()
	dir, err := os.MkdirTemp("", "csi") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, dir: dir, socket: filepath.Join(dir, "csi.sock"), api: &cluster{drivers: map[string]storagev1.CSINodeDriver{}}}
	o.Name, o.Dir, o.NodeID = name, dir, "n1"
	if b.driver, err = csidriver.New(o); err != nil {
		t.Fatal(err)
	}
	stop, err := b.driver.Serve(b.socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		b.close()
		stop()
		if len(b.mounts()) > 0 {
			t.Errorf("still mounted: %v", b.mounts())
			return
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	b.restart()
	return b
}

// restart makes the agent's side anew, as after a kill.
func (b *bench) restart() {
	b.t.Helper()
	b.close()
	b.node = csi.New(csi.Options{Dir: b.dir, Node: "n1", API: b.api, Clock: clock.RealClock{}, Log: slog.New(slog.DiscardHandler), Changed: func() {}, Registered: func() {}})
	ctx, cancel := context.WithCancel(b.t.Context())
	b.api.mu.Lock()
	b.api.told = cancel // registering has its time, unstaging has its own
	b.api.mu.Unlock()
	if err := b.node.Register(ctx, name, b.socket, []string{"1.0.0"}); err != nil {
		b.t.Fatal(err)
	}
	b.node.Settle()
}

func (b *bench) close() {
	if b.node != nil {
		b.node.Settle()
		b.node.Deregister(context.Background(), name, b.socket)
	}
}

// mounts are below the agent's folder.
func (b *bench) mounts() []string {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		b.t.Fatal(err)
	}
	var out []string
	for line := range strings.Lines(string(data)) {
		if path := strings.Fields(line)[4]; strings.HasPrefix(path, b.dir+"/") {
			out = append(out, strings.TrimPrefix(path, b.dir))
		}
	}
	return out
}

// left are the files that the agent's side keeps.
func (b *bench) left() []string {
	var out []string
	for _, root := range []string{"pods", "plugins/kubernetes.io/csi"} {
		files, err := filepath.Glob(filepath.Join(b.dir, root, "*", "*"))
		if err != nil {
			b.t.Fatal(err)
		}
		for _, f := range files {
			if found, err := filepath.Glob(f + "/*/*/*"); err != nil || len(found) > 0 || root != "pods" {
				out = append(out, f)
			}
		}
	}
	return out
}

func (b *bench) volume(handle string) csi.Volume {
	b.t.Helper()
	made, err := b.driver.CreateVolume(b.t.Context(), &spec.CreateVolumeRequest{Name: handle, VolumeCapabilities: []*spec.VolumeCapability{{
		AccessType: &spec.VolumeCapability_Mount{Mount: &spec.VolumeCapability_MountVolume{}},
		AccessMode: &spec.VolumeCapability_AccessMode{Mode: spec.VolumeCapability_AccessMode_SINGLE_NODE_WRITER},
	}}})
	if err != nil {
		b.t.Fatal(err)
	}
	return csi.Volume{Name: "pv-" + handle, Driver: name, Handle: made.Volume.VolumeId, AccessMode: v1.ReadWriteOnce, Attachment: "a"}
}

// asked are the names of the calls about volumes since the last time.
func (b *bench) asked(since *int) string {
	all := b.driver.Calls("NodeStageVolume", "NodePublishVolume", "NodeUnpublishVolume", "NodeUnstageVolume")
	var out []string
	for _, c := range all[*since:] {
		out = append(out, strings.TrimSuffix(strings.TrimPrefix(c.Method, "Node"), "Volume"))
	}
	*since = len(all)
	return strings.Join(out, " ")
}

func TestVolumesOfTwoPods(t *testing.T) {
	b := newBench(t, csidriver.Options{})
	v, n := b.volume("data"), 0
	check := func(step, want string, err error) {
		t.Helper()
		if got := b.asked(&n); err != nil || got != want {
			t.Errorf("%s: asked to %q, not %q (%v)", step, got, want, err)
		}
	}
	first, err := b.node.Publish(t.Context(), "a", v)
	check("the first pod", "Stage Publish", err)
	_, err = b.node.Publish(t.Context(), "a", v)
	check("again", "", err)
	second, err := b.node.Publish(t.Context(), "b", v)
	check("the second pod", "Publish", err)
	if err := os.WriteFile(filepath.Join(first, "file"), []byte("shared"), 0o600); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(filepath.Join(second, "file")); err != nil || string(data) != "shared" {
		t.Errorf("the second pod reads %q, %v", data, err)
	}
	b.restart()
	_, err = b.node.Publish(t.Context(), "a", v)
	check("after a restart", "", err)
	if got := b.node.InUse(); !slices.Equal(got, []v1.UniqueVolumeName{v1.UniqueVolumeName("kubernetes.io/csi/" + name + "^" + v.Handle)}) {
		t.Errorf("in use: %v", got)
	}
	again := v
	again.Republish = true
	_, err = b.node.Publish(t.Context(), "a", again)
	check("a driver that wants to be asked again", "Publish", err)
	for _, path := range b.mounts() { // a machine that was started anew has no mounts
		if err := unix.Unmount(b.dir+path, unix.MNT_DETACH); err != nil {
			t.Fatal(err)
		}
	}
	b.restart()
	_, err = b.node.Publish(t.Context(), "a", v)
	check("after the machine's restart", "Stage Publish", err)
	check("the first pod ends", "Unpublish", b.node.Unpublish(t.Context(), "a"))
	check("the second pod ends", "Unpublish Unstage", b.node.Unpublish(t.Context(), "b"))
	check("again", "", b.node.Unpublish(t.Context(), "b"))
	if left := b.left(); len(left) > 0 || len(b.node.InUse()) > 0 {
		t.Errorf("left: %v, in use: %v", left, b.node.InUse())
	}
}

// Whatever fails or is cut off, and if the agent is made anew after it: the pod's
// end undoes all.
func TestWhatFailedIsUndone(t *testing.T) {
	for _, method := range []string{"NodeStageVolume", "NodePublishVolume", "NodeUnpublishVolume", "NodeUnstageVolume"} {
		for _, restarted := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, agent restarted: %v", method, restarted), func(t *testing.T) {
				b := newBench(t, csidriver.Options{})
				v := b.volume("data")
				b.driver.Fail(method, status.Error(codes.Internal, "it is ill"))
				_, err1 := b.node.Publish(t.Context(), "a", v)
				err2 := b.node.Unpublish(t.Context(), "a")
				if err := errors.Join(err1, err2); err == nil || !strings.Contains(err.Error(), "rpc error: code = Internal desc = it is ill") {
					t.Errorf("it failed with %v", err)
				}
				if staging := (*csi.StageError)(nil); errors.As(err1, &staging) != (method == "NodeStageVolume") {
					t.Errorf("whose failure was it: %v", err1)
				}
				b.driver.Fail(method, nil)
				if restarted {
					b.restart()
				}
				if err := b.node.Unpublish(t.Context(), "a"); err != nil {
					t.Fatal(err)
				}
				if left := b.left(); len(left) > 0 || len(b.node.InUse()) > 0 || len(b.mounts()) > 0 {
					t.Errorf("left: %v, in use: %v, mounted: %v", left, b.node.InUse(), b.mounts())
				}
			})
		}
	}
}

// A volume that was staged for a pod of which nothing is left is unstaged when its driver comes.
func TestUnusedVolumesAreUnstaged(t *testing.T) {
	b := newBench(t, csidriver.Options{})
	used, unused := b.volume("used"), b.volume("unused")
	if _, err := b.node.Publish(t.Context(), "a", used); err != nil {
		t.Fatal(err)
	}
	b.driver.Fail("NodePublishVolume", status.Error(codes.Internal, "it is ill"))
	if _, err := b.node.Publish(t.Context(), "b", unused); err == nil {
		t.Fatal("it was published")
	}
	b.driver.Fail("NodePublishVolume", nil)
	if err := os.RemoveAll(filepath.Join(b.dir, "pods", "b")); err != nil {
		t.Fatal(err)
	}
	b.restart()
	var asked []string
	for _, c := range b.driver.Calls("NodeUnstageVolume") {
		asked = append(asked, c.Request.(*spec.NodeUnstageVolumeRequest).VolumeId)
	}
	if !slices.Equal(asked, []string{unused.Handle}) {
		t.Errorf("unstaged: %v, not %s", asked, unused.Handle)
	}
	if err := b.node.Unpublish(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
}

func TestPodsAtOnceStageOnce(t *testing.T) {
	b := newBench(t, csidriver.Options{})
	v := b.volume("data")
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			if _, err := b.node.Publish(t.Context(), fmt.Sprint("pod-", i), v); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if staged := len(b.driver.Calls("NodeStageVolume")); staged != 1 {
		t.Errorf("staged %d times", staged)
	}
	for i := range 8 {
		all.Go(func() {
			if err := b.node.Unpublish(t.Context(), fmt.Sprint("pod-", i)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if unstaged := len(b.driver.Calls("NodeUnstageVolume")); unstaged != 1 {
		t.Errorf("unstaged %d times", unstaged)
	}
}

// The group of a pod is the driver's affair if it says so.
func TestWhoSeesToTheGroup(t *testing.T) {
	for _, delegated := range []bool{false, true} {
		b := newBench(t, csidriver.Options{MountGroup: delegated})
		v, owned := b.volume("data"), 0
		v.Group, v.Own = new(int64(77)), func(string) error { owned++; return nil }
		for range 2 {
			if _, err := b.node.Publish(t.Context(), "a", v); err != nil {
				t.Fatal(err)
			}
		}
		group := b.driver.Calls("NodePublishVolume")[0].Request.(*spec.NodePublishVolumeRequest).VolumeCapability.GetMount().VolumeMountGroup
		if delegated && (group != "77" || owned != 0) || !delegated && (group != "" || owned != 1) {
			t.Errorf("delegated %v: the driver gets %q, the node did it %d times", delegated, group, owned)
		}
		if err := b.node.Unpublish(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWhatIsNotUnderstoodIsTold(t *testing.T) {
	b := newBench(t, csidriver.Options{})
	v := b.volume("data")
	path, err := b.node.Publish(t.Context(), "a", v)
	if err != nil {
		t.Fatal(err)
	}
	record := filepath.Join(filepath.Dir(path), "vol_data.json")
	kept, err := os.ReadFile(record)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(record, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := b.node.Unpublish(t.Context(), "a"); err == nil || !strings.Contains(err.Error(), "makes no sense") {
		t.Errorf("it says %v", err)
	}
	other := b.volume("other") // a restarted agent goes on with it
	if _, err := b.node.Publish(t.Context(), "b", other); err != nil {
		t.Fatal(err)
	}
	b.restart()
	if in := b.node.InUse(); len(in) != 2 { // the other one's, and what is staged of the first
		t.Errorf("in use are %v", in)
	}
	if err := os.WriteFile(record, kept, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := b.node.Unpublish(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if err := b.node.Unpublish(t.Context(), "b"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.node.Publish(t.Context(), "a", csi.Volume{Name: "x", Driver: "absent", Handle: "h"}); err == nil || err.Error() != "driver name absent not found in the list of registered CSI drivers" {
		t.Errorf("a driver that isn't there: %v", err)
	}
}

func TestTheClusterIsToldOfDrivers(t *testing.T) {
	b := newBench(t, csidriver.Options{MaxVolumes: 3})
	if d := b.api.drivers[name]; d.NodeID != "n1" || d.Allocatable == nil || *d.Allocatable.Count != 3 {
		t.Errorf("it was told %+v", d)
	}
	b.api.drivers = map[string]storagev1.CSINodeDriver{} // the node was made anew
	b.node.Introduce(t.Context())
	if !b.api.has(name) {
		t.Error("the new node doesn't have the driver")
	}
	b.node.Deregister(t.Context(), name, "/another")
	if !b.api.has(name) {
		t.Error("a driver went with the socket of an earlier one")
	}
	for _, versions := range [][]string{nil, {"0.3.0"}, {"2.0.0"}, {"none"}} {
		if err := b.node.Register(t.Context(), "other", b.socket, versions); err == nil {
			t.Errorf("a driver of versions %v is registered", versions)
		}
	}
	b.api.failing = 1
	if err := b.node.Register(t.Context(), "other", b.socket, []string{"v1.2.0"}); err == nil {
		t.Error("a driver is registered that the cluster doesn't know")
	}
	b.node.Deregister(t.Context(), name, b.socket)
	if b.api.has(name) {
		t.Error("a driver that is gone is still told of")
	}
}
