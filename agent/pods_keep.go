package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	v1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/agent/feed"
)

const podFile = "pod.json"

// keptPod is what a restarted agent knows of a pod while the bus is away.
type keptPod struct {
	At     feed.Position `json:"at"`
	Origin feed.Origin   `json:"origin"`
	Pod    *v1.Pod       `json:"pod"`
}

func (a *Agent) keepPod(kept keptPod) error {
	if a.host.Dir == "" {
		return nil
	}
	data, err := json.Marshal(kept)
	if err != nil {
		return err
	}
	dir := filepath.Join(a.podsDir(), string(kept.Pod.UID))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	path := filepath.Join(dir, podFile)
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func (a *Agent) storedPods() (map[string]*keptPod, error) {
	out := map[string]*keptPod{}
	if a.o.Runtime != nil {
		return out, nil
	}
	entries, err := os.ReadDir(a.podsDir())
	if errors.Is(err, os.ErrNotExist) {
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(a.podsDir(), e.Name(), podFile))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		kept := &keptPod{}
		if err := json.Unmarshal(data, kept); err != nil || kept.Pod == nil {
			return nil, fmt.Errorf("read the pod kept in %s: %w", e.Name(), err)
		}
		out[e.Name()] = kept
	}
	return out, nil
}
