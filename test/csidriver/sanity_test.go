package csidriver_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/kubernetes-csi/csi-test/v5/pkg/sanity"

	"github.com/reckon-project/reckon/test/csidriver"
)

// kind names what sort of volumes this process is to test.
const kind = "RECKON_TEST_VOLUMES"

// The sanity suite runs in a process of its own, as it runs once in one only, and in
// a mount namespace of its own.
func TestSanity(t *testing.T) {
	if kind := os.Getenv(kind); kind != "" {
		runSuite(t, kind)
		return
	}
	for _, volumes := range []string{"mount", "block"} {
		t.Run(volumes, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSanity$")
			cmd.Env = append(os.Environ(), kind+"="+volumes)
			cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("the suite, which mounts as root and needs losetup: %v\n%s", err, out)
			}
		})
	}
}

func runSuite(t *testing.T, kind string) {
	dir := t.TempDir()
	d, err := csidriver.New(csidriver.Options{Name: "test.csi.reckon.dev", Dir: dir, NodeID: "n1", Topology: map[string]string{"test.csi.reckon.dev/node": "n1"}})
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "csi.sock")
	stop, err := d.Serve(socket)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	config := sanity.NewTestConfig()
	config.Address, config.TargetPath, config.StagingPath = "unix:"+socket, filepath.Join(dir, "target"), filepath.Join(dir, "staging")
	config.TestVolumeSize, config.TestVolumeExpandSize, config.TestVolumeAccessType = 16<<20, 32<<20, kind
	sanity.Test(t, config)
}
