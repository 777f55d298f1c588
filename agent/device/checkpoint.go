package device

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/reckon-project/reckon/agent/durable"
)

// write keeps what is given for the next start.
func (m *Manager) write() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	data, err := json.Marshal(m.given)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(m.dir, 0o750); err != nil {
		return err
	}
	return durable.Write(filepath.Join(m.dir, checkpoint), data)
}

func (m *Manager) read() error {
	m.given = map[string]map[string]map[string]*given{}
	path := filepath.Join(m.dir, checkpoint)
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, &m.given); err != nil {
		return fmt.Errorf("read %s, which says which containers have which devices (stop the node's pods that use devices and remove the file): %w", path, err)
	}
	return nil
}

// writeNames keeps which resources there were, so that the next start says that
// there are none of those whose plugin doesn't come back. m.mu is held.
func (m *Manager) writeNames() error {
	data, err := json.Marshal(slices.Sorted(maps.Keys(m.offers)))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(m.dir, names), data, 0o600)
}

func (m *Manager) readNames() error {
	data, err := os.ReadFile(filepath.Join(m.dir, names))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var all []string
	if json.Unmarshal(data, &all) != nil {
		return nil // torn: plugins that register write it anew
	}
	for _, name := range all {
		m.offers[name] = &offer{left: m.clock.Now()}
	}
	return nil
}
