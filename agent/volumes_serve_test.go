package agent_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"github.com/reckon-project/reckon/agent"
)

// An agent that begins anew finds the mount that it made, also behind a link: otherwise
// each start would cover all that is mounted there with another one.
func TestAFolderIsSharedOnce(t *testing.T) {
	real, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(real, link); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(real, "pods")
	for range 3 {
		if err := agent.Share(filepath.Join(link, "pods")); err != nil {
			t.Fatal(err)
		}
	}
	mounts, err := mountinfo.GetMounts(func(m *mountinfo.Info) (skip, stop bool) { return m.Mountpoint != dir, false })
	if err != nil {
		t.Fatal(err)
	}
	for range mounts {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	}
	if len(mounts) > 1 { // none if the machine's own mount is shared
		t.Errorf("%d mounts are at the folder", len(mounts))
	}
}
