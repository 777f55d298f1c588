package volume

import (
	"path/filepath"
	"strings"

	v1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/agent/downward"
	"github.com/reckon-project/reckon/events"
)

// file is one file of a volume.
type file struct {
	data []byte
	mode int32
	user *int64 // who owns it; nil: root
}

// files are a volume's files by their relative path.
type files map[string]file

const defaultMode = 0o644

// add puts keys of values in, all of them or those that items names.
func (f files) add(values map[string][]byte, items []v1.KeyToPath, mode *int32, optional bool, missing string) error {
	if len(items) == 0 {
		for k, v := range values {
			f[k] = file{data: v, mode: or(mode)}
		}
		return nil
	}
	for _, item := range items {
		v, ok := values[item.Key]
		if !ok {
			if optional {
				continue
			}
			return failf(events.ErrNotFound, "%s key: %s", missing, item.Key)
		}
		path, err := cleanPath(item.Path)
		if err != nil {
			return err
		}
		m := or(mode)
		if item.Mode != nil {
			m = *item.Mode
		}
		f[path] = file{data: v, mode: m}
	}
	return nil
}

func cleanPath(path string) (string, error) {
	if !filepath.IsLocal(path) || strings.HasPrefix(path, "..") {
		return "", failf(events.ErrInvalid, "path %q leaves the volume", path)
	}
	return filepath.Clean(path), nil
}

func or(mode *int32) int32 {
	if mode == nil {
		return defaultMode
	}
	return *mode
}

func (m *Manager) addConfigMap(f files, pod *v1.Pod, name string, items []v1.KeyToPath, mode *int32, optional *bool) error {
	opt := optional != nil && *optional
	cm, ok := m.Objects.ConfigMap(pod.Namespace, name)
	if !ok {
		if opt {
			return nil
		}
		return failf(events.ErrNotFound, "configmap %q not found", name)
	}
	values := make(map[string][]byte, len(cm.Data)+len(cm.BinaryData))
	for k, v := range cm.Data {
		values[k] = []byte(v)
	}
	for k, v := range cm.BinaryData {
		values[k] = v
	}
	return f.add(values, items, mode, opt, "configmap references non-existent config")
}

func (m *Manager) addSecret(f files, pod *v1.Pod, name string, items []v1.KeyToPath, mode *int32, optional *bool) error {
	opt := optional != nil && *optional
	secret, ok := m.Objects.Secret(pod.Namespace, name)
	if !ok {
		if opt {
			return nil
		}
		return failf(events.ErrNotFound, "secret %q not found", name)
	}
	return f.add(secret.Data, items, mode, opt, "references non-existent secret")
}

func (m *Manager) addDownward(f files, pod *v1.Pod, items []v1.DownwardAPIVolumeFile, mode *int32) error {
	for _, item := range items {
		path, err := cleanPath(item.Path)
		if err != nil {
			return err
		}
		perm := or(mode)
		if item.Mode != nil {
			perm = *item.Mode
		}
		var value string
		switch {
		case item.FieldRef != nil:
			value, err = downward.Field(pod, item.FieldRef.FieldPath)
		case item.ResourceFieldRef != nil:
			value, err = downward.ResourceField(pod, item.ResourceFieldRef.ContainerName, item.ResourceFieldRef, m.Allocatable)
		}
		if err != nil {
			return err
		}
		f[path] = file{data: []byte(value), mode: perm}
	}
	return nil
}
