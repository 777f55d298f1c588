package csi

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/agent/durable"
)

const recordFile = "vol_data.json"

// record says what a driver was asked to do at a path. Its first fields are what
// the kubelet writes down too.
type record struct {
	Name       string `json:"specVolID"`
	Handle     string `json:"volumeHandle"`
	Driver     string `json:"driverName"`
	Node       string `json:"nodeName,omitempty"`
	Attachment string `json:"attachmentID,omitempty"`
	Mode       string `json:"volumeLifecycleMode,omitempty"`
	Target     string `json:"targetPath"`
	Done       bool   `json:"done,omitempty"` // the driver said so

	dir string // that the record lies in
}

func (r *record) key() volumeKey { return volumeKey{r.Driver, r.Handle} }

// write keeps the record, for good, before anything else is done.
func (r *record) write() error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(r.dir, 0o750); err != nil {
		return err
	}
	path := filepath.Join(r.dir, recordFile)
	if err := durable.Write(path, data); err != nil {
		return fmt.Errorf("write down volume %s: %w", r.Handle, err)
	}
	return nil
}

// read gives the record of a folder; nil: there is none.
func read(dir string) (*record, error) {
	data, err := os.ReadFile(filepath.Join(dir, recordFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r := &record{dir: dir}
	if err := json.Unmarshal(data, r); err != nil || r.Driver == "" || r.Handle == "" || !filepath.IsAbs(r.Target) {
		return nil, fmt.Errorf("what is written down in %s makes no sense (%s): undo by hand what is mounted there, and remove it", dir, strings.TrimSpace(string(data)))
	}
	return r, nil
}

// recordsOf gives what was published for a pod ("*": for all).
func (n *Node) recordsOf(uid string) ([]*record, error) {
	return readAll(filepath.Join(n.Dir, "pods", uid, "volumes", "kubernetes.io~csi", "*"), filepath.Join(n.Dir, "pods", uid, "volumeDevices", "kubernetes.io~csi", "*"))
}

// stagedRecords gives what was staged by a driver ("*": by all).
func (n *Node) stagedRecords(driver string) ([]*record, error) {
	return readAll(filepath.Join(n.Dir, "plugins", "kubernetes.io", "csi", driver, "*"))
}

// readAll gives the records that make sense; the error tells of others.
func readAll(patterns ...string) ([]*record, error) {
	var out []*record
	var errs []error
	for _, pattern := range patterns {
		dirs, err := filepath.Glob(pattern)
		if err != nil {
			return nil, err
		}
		for _, dir := range dirs {
			r, err := read(dir)
			errs = append(errs, err)
			if r != nil {
				out = append(out, r)
			}
		}
	}
	return out, errors.Join(errs...)
}

// remove takes away what is at the record's path, unless something is mounted
// there, and the record last.
func (r *record) remove() error {
	if err := os.Remove(r.Target); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the path of volume %s: %w", r.Handle, err)
	}
	for _, path := range []string{filepath.Join(r.dir, recordFile), r.dir} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// use remembers that a record keeps an attached volume in use, or that it doesn't any more.
func (n *Node) use(r *record, is bool) {
	if r.Attachment == "" {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if is {
		if n.inUse[r.key()] == nil {
			n.inUse[r.key()] = map[string]bool{}
		}
		n.inUse[r.key()][r.dir] = true
		return
	}
	delete(n.inUse[r.key()], r.dir)
	if len(n.inUse[r.key()]) == 0 {
		delete(n.inUse, r.key())
	}
}

// InUse gives the attached volumes that must not be detached from the node, sorted.
func (n *Node) InUse() []v1.UniqueVolumeName {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := []v1.UniqueVolumeName{}
	for key := range n.inUse {
		out = append(out, v1.UniqueVolumeName(key.String()))
	}
	slices.Sort(out)
	return out
}
