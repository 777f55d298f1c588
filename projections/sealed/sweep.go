package sealed

import (
	"fmt"
	"net/url"
	"os"
	"strings"
)

// UIDs lists the objects that have a key.
func (f *FileStore) UIDs() ([]string, error) {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	var out []string
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".key")
		if !ok {
			continue
		}
		uid, err := url.PathUnescape(name)
		if err != nil {
			continue // not a key of ours
		}
		out = append(out, uid)
	}
	return out, nil
}

// Lister says which objects have a key.
type Lister interface {
	UIDs() ([]string, error)
}

// Sweep destroys the keys of objects that are gone: one deleted just before a
// crash, one whose creation failed. It must run before anything is sealed.
func (k *Keyring) Sweep(store Lister, exists func(uid string) bool) (destroyed int, err error) {
	uids, err := store.UIDs()
	if err != nil {
		return 0, err
	}
	for _, uid := range uids {
		if exists(uid) {
			continue
		}
		if err := k.Destroy(uid); err != nil {
			return destroyed, err
		}
		destroyed++
	}
	return destroyed, nil
}
