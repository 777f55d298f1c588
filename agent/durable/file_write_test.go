package durable_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/reckon-project/reckon/agent/durable"
)

func TestTheNewestContentIsThere(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := os.WriteFile(path+".new", []byte("longer than what comes, and torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"one", "2"} {
		if err := durable.Write(path, []byte(want)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("it holds %q, %v", got, err)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("its mode: %v, %v", info.Mode(), err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v, %v", entries, err)
	}
	if err := durable.Write(filepath.Join(dir, "absent", "f"), nil); err == nil {
		t.Error("a folder that isn't there can be written to")
	}
}
