package archive_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/reckon-project/reckon/bus/archive"
	"github.com/reckon-project/reckon/events"
)

func TestFolderKeepsBlobs(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not", "there", "yet")
	f := archive.Folder(dir)
	if names, err := f.List(t.Context(), ""); err != nil || len(names) > 0 {
		t.Fatalf("a new folder holds %v (%v)", names, err)
	}
	for _, name := range []string{"a/2", "a/1", "b", "a/1"} {
		if err := f.Put(t.Context(), name, strings.NewReader("<"+name+">")); err != nil {
			t.Fatal(err)
		}
	}
	if names, err := f.List(t.Context(), "a/"); err != nil || !slices.Equal(names, []string{"a/1", "a/2"}) {
		t.Errorf("it lists %v (%v)", names, err)
	}
	r, err := f.Get(t.Context(), "a/1")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if data, err := io.ReadAll(r); err != nil || string(data) != "<a/1>" {
		t.Errorf("it gives %q (%v)", data, err)
	}
	for range 2 {
		if err := f.Delete(t.Context(), "a/1"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.Get(t.Context(), "a/1"); !errors.Is(err, events.ErrNotFound) {
		t.Errorf("a deleted blob: %v", err)
	}
	// What fails on the way leaves nothing.
	if err := f.Put(t.Context(), "c", io.MultiReader(strings.NewReader("half"), failing{})); !errors.Is(err, errFault) {
		t.Errorf("a reader that fails: %v", err)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 2 {
		t.Errorf("the folder holds %v (%v), want a and b", files, err)
	}
	for _, name := range []string{"../x", "/etc/x", "", ".", "a//b"} {
		if err := f.Put(t.Context(), name, strings.NewReader("")); !errors.Is(err, events.ErrInvalid) {
			t.Errorf("the name %q: %v", name, err)
		}
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errFault }
