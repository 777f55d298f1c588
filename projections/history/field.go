package history

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/reckon-project/reckon/events"
)

// The sorts of a Field.
const (
	Added   = "added"
	Removed = "removed"
	Changed = "changed"
)

// Field is one difference between two versions of an object. Entries of lists
// are named, not counted, where they have names:
// spec.template.spec.containers[web].image.
type Field struct {
	Path string `json:"path"`
	Op   string `json:"op"` // Added, Removed or Changed
	Old  any    `json:"old,omitempty"`
	New  any    `json:"new,omitempty"`
	// Secret: the values aren't shown, only that they differ.
	Secret bool `json:"secret,omitempty"`
	// Noise: bookkeeping that people rarely look for.
	Noise bool `json:"noise,omitempty"`
}

// Fields lists what turns old into new, either of which may be nil: what people
// wrote first, then metadata, then status, each in order of the paths.
// resourceVersion and managedFields are never among it.
func Fields(k events.Key, old, new runtime.Object) ([]Field, error) {
	o, err := tree(old)
	if err != nil {
		return nil, fmt.Errorf("fields of %s: %w", k, err)
	}
	n, err := tree(new)
	if err != nil {
		return nil, fmt.Errorf("fields of %s: %w", k, err)
	}
	d := differ{secret: isSecret(k)}
	d.maps("", o, n)
	slices.SortStableFunc(d.out, func(a, b Field) int { return rank(a.Path) - rank(b.Path) })
	return d.out, nil
}

// rank orders the parts of an object.
func rank(path string) int {
	switch head, _, _ := strings.Cut(path, "."); {
	case path == "metadata.deletionTimestamp":
		return 0
	case path == "status.phase":
		return 3
	case head == "metadata":
		return 2
	case head == "status":
		return 4
	}
	return 1
}

// tree is an object as JSON has it, without what differs in every version.
func tree(value runtime.Object) (map[string]any, error) {
	if value == nil || reflect.ValueOf(value).IsNil() {
		return nil, nil
	}
	data, err := events.EncodeObject(value)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var out map[string]any
	if err := d.Decode(&out); err != nil {
		return nil, err
	}
	if metadata, ok := out["metadata"].(map[string]any); ok {
		delete(metadata, "managedFields")
	}
	return out, nil
}

// differ collects the differences between two trees.
type differ struct {
	secret bool
	out    []Field
}

func (d *differ) add(path string, old, new any) {
	f := Field{Path: path, Op: Changed, Old: old, New: new, Noise: noise(path) || expected(path, old, new)}
	switch {
	case old == nil:
		f.Op = Added
	case new == nil:
		f.Op = Removed
	}
	if d.secret && secretPath(path) {
		f.Secret, f.Old, f.New = true, nil, nil
	}
	d.out = append(d.out, f)
}

// expected: what every pod goes through.
func expected(path string, old, new any) bool {
	return old == nil && strings.HasSuffix(path, "].restartCount") || path == "status.conditions[PodScheduled]" && new == "True"
}

func (d *differ) value(path string, old, new any) {
	if reflect.DeepEqual(old, new) {
		return
	}
	if s, ok := summaries[lastPart(path)]; ok && strings.HasPrefix(path, "status.") {
		if o, n := s(old), s(new); o != n {
			d.add(path, text(o), text(n))
		}
		return
	}
	om, oldMap := old.(map[string]any)
	nm, newMap := new.(map[string]any)
	ol, oldList := old.([]any)
	nl, newList := new.([]any)
	switch {
	case oldMap && newMap, oldMap && new == nil && grows(path), newMap && old == nil && grows(path):
		d.maps(path, om, nm)
	case path == "status.conditions" && (oldList || old == nil) && (newList || new == nil):
		d.conditions(path, ol, nl)
	case oldList && newList, oldList && new == nil && grows(path), newList && old == nil && grows(path):
		d.lists(path, ol, nl)
	default:
		d.add(path, old, new)
	}
}

// text is a summary as a value: nil for none.
func text(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func (d *differ) maps(path string, old, new map[string]any) {
	for _, k := range unionKeys(old, new) {
		d.value(join(path, k), old[k], new[k])
	}
}

func unionKeys[V any](a, b map[string]V) []string {
	keys := make([]string, 0, len(a)+len(b))
	for k := range a {
		keys = append(keys, k)
	}
	for k := range b {
		if _, both := a[k]; !both {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}

// join appends a key to a path; one that isn't a plain word is put in brackets.
func join(path, key string) string {
	switch {
	case strings.ContainsAny(key, "./[] "):
		return path + "[" + key + "]"
	case path == "":
		return key
	}
	return path + "." + key
}

// lastPart is the last name of a path.
func lastPart(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }

// grows: of these each entry is a difference of its own even where all of it
// came or went.
func grows(path string) bool {
	switch path {
	case "spec", "metadata", "status", "data", "stringData", "binaryData",
		"status.containerStatuses", "status.initContainerStatuses", "status.ephemeralContainerStatuses", "metadata.finalizers":
		return true
	}
	return containerStatus(path) || strings.HasSuffix(path, ".labels") || strings.HasSuffix(path, ".annotations")
}

// containerStatus: one entry of the statuses of a pod's containers.
func containerStatus(path string) bool {
	return strings.HasPrefix(path, "status.") && strings.Contains(path, "ontainerStatuses[") && strings.HasSuffix(path, "]")
}

// isSecret reports whether an object's values aren't for everybody's eyes.
func isSecret(k events.Key) bool { return k.Group == "" && k.Resource == "secrets" }

func secretPath(path string) bool {
	return path == "data" || path == "stringData" || path == lastApplied || path == "metadata.annotations" ||
		strings.HasPrefix(path, "data.") || strings.HasPrefix(path, "data[") ||
		strings.HasPrefix(path, "stringData.") || strings.HasPrefix(path, "stringData[")
}
