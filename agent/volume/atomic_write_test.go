package volume

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestFilesChangeTogether(t *testing.T) {
	root := t.TempDir()
	now := time.Unix(100, 0)
	write := func(f files) {
		t.Helper()
		now = now.Add(time.Second)
		if err := writeAtomically(root, f, now, nil); err != nil {
			t.Fatal(err)
		}
	}
	read := func(name string) string {
		data, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			return err.Error()
		}
		return string(data)
	}
	write(files{"a": {[]byte("1"), 0o644}, "dir/b": {[]byte("2"), 0o400}})
	if read("a") != "1" || read("dir/b") != "2" {
		t.Errorf("the files are %q, %q", read("a"), read("dir/b"))
	}
	before, err := os.Readlink(filepath.Join(root, dataLink))
	if err != nil {
		t.Fatal(err)
	}
	write(files{"a": {[]byte("1"), 0o644}, "dir/b": {[]byte("2"), 0o400}})
	if same, _ := os.Readlink(filepath.Join(root, dataLink)); same != before {
		t.Error("the same files were written again")
	}
	write(files{"a": {[]byte("3"), 0o644}, "c": {[]byte("4"), 0o644}})
	if read("a") != "3" || read("c") != "4" {
		t.Errorf("the files are %q, %q", read("a"), read("c"))
	}
	entries, err := os.ReadDir(root)
	if err != nil || len(entries) != 4 { // a, c, ..data and one folder
		t.Errorf("what is left: %v, %v", entries, err)
	}
}

func TestSubPathStaysInside(t *testing.T) {
	root := t.TempDir()
	if err := os.Symlink("/etc", filepath.Join(root, "out")); err != nil {
		t.Fatal(err)
	}
	if got, err := SubPath(root, "a/b"); err != nil || got != filepath.Join(root, "a", "b") {
		t.Errorf("a/b is %s, %v", got, err)
	}
	for _, bad := range []string{"../x", "out", "out/passwd", "/etc"} {
		if got, err := SubPath(root, bad); err == nil {
			t.Errorf("%s is %s", bad, got)
		}
	}
}
