package image

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/reckon-project/reckon/events"
)

// Spec says what an image is made of.
type Spec struct {
	// Path is a static program, which becomes /<its name>, or a folder, which becomes /.
	Path string
	// Links are symbolic links to add: path in the image → target.
	Links map[string]string
	// Entrypoint is the command; for a program the default is that program.
	Entrypoint []string
	Cmd        []string
	Env        []string // NAME=value
	User       string
	WorkingDir string
	Ports      []string // "8080/tcp"
	Arch       string   // a Go architecture name; "": this machine's
}

// Build makes an image. The same input gives the same image: no time is recorded.
func Build(spec Spec) (v1.Image, error) {
	info, err := os.Stat(spec.Path)
	if err != nil {
		return nil, fmt.Errorf("%w: build an image of %s: %v", events.ErrInvalid, spec.Path, err)
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if info.IsDir() {
		err = addFolder(w, spec.Path)
	} else {
		name := filepath.Base(spec.Path)
		if err = addFile(w, spec.Path, name, 0o755); len(spec.Entrypoint) == 0 {
			spec.Entrypoint = []string{"/" + name}
		}
	}
	if err != nil {
		return nil, fmt.Errorf("pack %s: %w", spec.Path, err)
	}
	return finish(w, &b, spec)
}

// BuildProgram makes an image of one program that is in memory.
func BuildProgram(name string, program []byte, spec Spec) (v1.Image, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(program)), Typeflag: tar.TypeReg}); err != nil {
		return nil, err
	}
	if _, err := w.Write(program); err != nil {
		return nil, err
	}
	if len(spec.Entrypoint) == 0 {
		spec.Entrypoint = []string{"/" + name}
	}
	return finish(w, &b, spec)
}

func finish(w *tar.Writer, b *bytes.Buffer, spec Spec) (v1.Image, error) {
	seen := map[string]bool{}
	for path, target := range sorted(spec.Links) {
		path = strings.TrimPrefix(path, "/")
		if dir := filepath.Dir(path); dir != "." && !seen[dir] {
			seen[dir] = true
			if err := w.WriteHeader(&tar.Header{Name: dir + "/", Mode: 0o755, Typeflag: tar.TypeDir}); err != nil {
				return nil, err
			}
		}
		if err := w.WriteHeader(&tar.Header{Name: path, Linkname: target, Mode: 0o777, Typeflag: tar.TypeSymlink}); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
	if err != nil {
		return nil, fmt.Errorf("make the image's layer: %w", err)
	}
	image, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return nil, fmt.Errorf("append the image's layer: %w", err)
	}
	file, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	if spec.Arch == "" {
		spec.Arch = runtime.GOARCH
	}
	file.OS, file.Architecture = "linux", spec.Arch
	file.Config = v1.Config{
		Entrypoint: spec.Entrypoint, Cmd: spec.Cmd, User: spec.User, WorkingDir: spec.WorkingDir,
		Env: append([]string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, spec.Env...),
	}
	if len(spec.Ports) > 0 {
		file.Config.ExposedPorts = map[string]struct{}{}
		for _, p := range spec.Ports {
			file.Config.ExposedPorts[p] = struct{}{}
		}
	}
	return mutate.ConfigFile(image, file)
}

func addFile(w *tar.Writer, path, name string, mode int64) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: info.Size(), Typeflag: tar.TypeReg, ModTime: time.Unix(0, 0)}); err != nil {
		return err
	}
	_, err = io.Copy(w, f)
	return err
}

func addFolder(w *tar.Writer, root string) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil || name == "." {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		mode := int64(info.Mode().Perm())
		switch {
		case d.IsDir():
			return w.WriteHeader(&tar.Header{Name: name + "/", Mode: mode, Typeflag: tar.TypeDir})
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			return w.WriteHeader(&tar.Header{Name: name, Linkname: target, Mode: 0o777, Typeflag: tar.TypeSymlink})
		case info.Mode().IsRegular():
			return addFile(w, path, name, mode)
		}
		return fmt.Errorf("%w: %s is neither a file, a folder nor a symbolic link", events.ErrInvalid, path)
	})
}
