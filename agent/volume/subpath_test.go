package volume

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestSubPathStaysInside(t *testing.T) {
	root := t.TempDir()
	if err := os.Chmod(root, 0o770|os.ModeSetgid); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{"out": "/etc", "up": "../..", "inner": "a/b", "loop": "loop", "magic": "/proc/self/root"} {
		if err := os.Symlink(to, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	open := func(sub string) (string, error) {
		f, err := openSubPath(root, sub)
		if err != nil {
			return "", err
		}
		defer f.Close()
		return os.Readlink(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
	}
	for sub, want := range map[string]string{"a/b": "a/b", "a/./b/": "a/b", ".": "."} {
		if got, err := open(sub); err != nil || got != filepath.Join(root, want) {
			t.Errorf("%s is %s, %v", sub, got, err)
		}
	}
	if got, err := open("inner"); err != nil || got != filepath.Join(root, "a", "b") {
		t.Errorf("a link inside the volume is %s, %v", got, err)
	}
	info, err := os.Stat(filepath.Join(root, "a", "b"))
	if err != nil || info.Mode().Perm() != 0o770 || info.Mode()&os.ModeSetgid == 0 {
		t.Errorf("the folder that was made: %v, %v", info.Mode(), err)
	}
	for _, bad := range []string{"../x", "out", "out/passwd", "/etc", "a/../../x", "up", "up/x", "loop", "magic/etc"} {
		if got, err := open(bad); err == nil {
			t.Errorf("%s is %s", bad, got)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := openSubPath(filepath.Join(root, "file"), "x"); err == nil {
		t.Errorf("a part of a file is %s", got.Name())
	}
}

// What is opened stays what it was, however the names change.
func TestSubPathIsNotLookedUpTwice(t *testing.T) {
	root := t.TempDir()
	f, err := openSubPath(root, "a/b")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := os.Rename(filepath.Join(root, "a"), filepath.Join(root, "moved")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc", filepath.Join(root, "a")); err != nil {
		t.Fatal(err)
	}
	var opened, moved unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &opened); err != nil {
		t.Fatal(err)
	}
	if err := unix.Stat(filepath.Join(root, "moved", "b"), &moved); err != nil {
		t.Fatal(err)
	}
	if opened.Ino != moved.Ino {
		t.Error("another folder is open than was there")
	}
}
