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
	write(files{"a": {data: []byte("1"), mode: 0o644}, "dir/b": {data: []byte("2"), mode: 0o400}})
	if read("a") != "1" || read("dir/b") != "2" {
		t.Errorf("the files are %q, %q", read("a"), read("dir/b"))
	}
	before, err := os.Readlink(filepath.Join(root, dataLink))
	if err != nil {
		t.Fatal(err)
	}
	write(files{"a": {data: []byte("1"), mode: 0o644}, "dir/b": {data: []byte("2"), mode: 0o400}})
	if same, _ := os.Readlink(filepath.Join(root, dataLink)); same != before {
		t.Error("the same files were written again")
	}
	write(files{"a": {data: []byte("3"), mode: 0o644}, "c": {data: []byte("4"), mode: 0o644}})
	if read("a") != "3" || read("c") != "4" {
		t.Errorf("the files are %q, %q", read("a"), read("c"))
	}
	entries, err := os.ReadDir(root)
	if err != nil || len(entries) != 4 { // a, c, ..data and one folder
		t.Errorf("what is left: %v, %v", entries, err)
	}
}
