package volume

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	v1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/events"
)

// checkHostPath makes sure that the path is of the type that the volume wants.
func checkHostPath(s *v1.HostPathVolumeSource) error {
	want := v1.HostPathUnset
	if s.Type != nil {
		want = *s.Type
	}
	switch want {
	case v1.HostPathUnset:
		return nil
	case v1.HostPathDirectoryOrCreate:
		if err := makeHostDir(s.Path); err != nil {
			return err
		}
		want = v1.HostPathDirectory
	case v1.HostPathFileOrCreate:
		if err := makeHostFile(s.Path); err != nil {
			return err
		}
		want = v1.HostPathFile
	}
	name, known := hostPathNames[want]
	if !known {
		return failf(events.ErrInvalid, "%s is an invalid volume type", want)
	}
	info, err := os.Stat(s.Path)
	if err != nil {
		return failf(events.ErrNotFound, "hostPath type check failed, %s is not a %s, unable to determine its type: %v", s.Path, name, err)
	}
	if is := typeOf(info.Mode()); is != want {
		return failf(events.ErrInvalid, "hostPath type check failed: %s is not a %s, it's a %s", s.Path, name, is)
	}
	return nil
}

var hostPathNames = map[v1.HostPathType]string{
	v1.HostPathDirectory: "directory", v1.HostPathFile: "file", v1.HostPathSocket: "socket file",
	v1.HostPathCharDev: "character device", v1.HostPathBlockDev: "block device",
}

func typeOf(mode fs.FileMode) v1.HostPathType {
	switch {
	case mode.IsDir():
		return v1.HostPathDirectory
	case mode&fs.ModeSocket != 0:
		return v1.HostPathSocket
	case mode&fs.ModeCharDevice != 0:
		return v1.HostPathCharDev
	case mode&fs.ModeDevice != 0:
		return v1.HostPathBlockDev
	case mode.IsRegular():
		return v1.HostPathFile
	}
	return "" // a FIFO
}

func makeHostDir(path string) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return nil // what it is gets looked at next
	}
	if err := os.MkdirAll(path, 0o755); err != nil {
		return fmt.Errorf("make the hostPath's folder: %w", err)
	}
	return nil
}

func makeHostFile(path string) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if _, err := os.Stat(filepath.Dir(path)); err != nil {
		return fmt.Errorf("make the hostPath's file: %w", err) // its folder is not made
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDONLY, 0o644)
	if err != nil {
		return err
	}
	return f.Close()
}
