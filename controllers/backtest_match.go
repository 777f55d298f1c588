package controllers

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// clockDrift is how far a time that a reconcile writes may be from the one on
// record: that was taken when the reconcile began.
const clockDrift = 5 * time.Second

// writes reports whether an intent comes to what a change on record did.
// The API adds to what it is given (defaults, managed fields), so all that the
// intent says must be in the object afterwards, and there may be more.
func writes(i Intent, c projections.Change) bool {
	k := c.Event.Key
	generated := i.Verb == VerbCreate && i.Object.(metav1.Object).GetGenerateName() != ""
	if i.Key.Group != k.Group || i.Key.Resource != k.Resource || i.Key.Namespace != k.Namespace || !generated && i.Key.Name != k.Name {
		return false
	}
	switch i.Verb {
	case VerbCreate:
		want := asJSON(i.Object)
		if generated { // the name comes from chance, or from the position
			delete(want.(map[string]any)["metadata"].(map[string]any), "name")
		}
		return c.Old == nil && c.New != nil && within(want, asJSON(c.New.Value))
	case VerbDelete:
		return c.New == nil || c.Event.Type == events.Deleting || c.Event.Type == events.Deleted
	case VerbAppend:
		return c.Event.Type == i.Type && c.New != nil && patched(i, c.New.Value)
	default:
		return c.Old != nil && c.New != nil && patched(i, c.New.Value)
	}
}

// needless reports whether an intent would change nothing: the API makes no
// event of such a write.
func needless(i Intent, s *projections.Snapshot) bool {
	o := s.Get(i.Key)
	switch i.Verb {
	case VerbCreate:
		return o.Exists()
	case VerbDelete:
		return !o.Exists() || o.Meta().GetDeletionTimestamp() != nil && i.Options.GracePeriodSeconds == nil
	default:
		return o.Exists() && patched(i, o.Value)
	}
}

// patched reports whether an object is as the intent wants it.
func patched(i Intent, o runtime.Object) bool {
	if i.Object != nil {
		return within(asJSON(i.Object), asJSON(o))
	}
	var patch any
	if json.Unmarshal(i.Data, &patch) != nil {
		return false
	}
	return within(patch, asJSON(o))
}

func asJSON(o runtime.Object) (v any) {
	data, err := events.EncodeObject(o)
	if err != nil || json.Unmarshal(data, &v) != nil {
		return nil
	}
	return v
}

// within reports whether all that want says is so in have. null says that there
// is nothing, and so does what is empty.
func within(want, have any) bool {
	switch want := want.(type) {
	case nil:
		return empty(have)
	case map[string]any:
		have, _ := have.(map[string]any)
		for k, v := range want {
			switch k {
			case "resourceVersion", "managedFields", "generation", "$patch": // the API's own, and syntax
				continue
			}
			if !within(v, have[k]) {
				return false
			}
		}
		return true
	case []any:
		have, _ := have.([]any)
		if byType(want) {
			return withinConditions(want, have)
		}
		if len(want) != len(have) {
			return false
		}
		for i := range want {
			if !within(want[i], have[i]) {
				return false
			}
		}
		return true
	case string:
		have, _ := have.(string)
		return want == have || sameTime(want, have)
	default:
		return want == have || empty(want) && empty(have)
	}
}

// byType reports whether a list is one of conditions, which are merged by type.
func byType(list []any) bool {
	for _, e := range list {
		m, ok := e.(map[string]any)
		if !ok || m["type"] == nil || m["status"] == nil && m["$patch"] == nil {
			return false
		}
	}
	return len(list) > 0
}

func withinConditions(want, have []any) bool {
	for _, w := range want {
		w := w.(map[string]any)
		found := false
		for _, h := range have {
			if h, ok := h.(map[string]any); ok && h["type"] == w["type"] {
				found = w["$patch"] == nil && within(w, h)
			}
		}
		if found != (w["$patch"] == nil) {
			return false
		}
	}
	return true
}

func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case map[string]any:
		for _, e := range v {
			if !empty(e) {
				return false
			}
		}
		return true
	case []any:
		return len(v) == 0
	case string:
		return v == ""
	case float64:
		return v == 0
	case bool:
		return !v
	}
	return false
}

func sameTime(a, b string) bool {
	x, err := time.Parse(time.RFC3339, a)
	y, err2 := time.Parse(time.RFC3339, b)
	return err == nil && err2 == nil && x.Sub(y).Abs() <= clockDrift
}

// describeEvent is a write on record in a line.
func describeEvent(e *events.Event) string {
	if e.ContentType == events.ContentObject {
		return fmt.Sprintf("%s %s", e.Type, e.Key)
	}
	return strings.TrimSpace(fmt.Sprintf("%s %s %s", e.Type, e.Key, withoutManagedFields(e.Data)))
}

// withoutManagedFields is a patch as people want to read it.
func withoutManagedFields(patch []byte) []byte {
	var p map[string]any
	if json.Unmarshal(patch, &p) != nil {
		return patch
	}
	metadata, ok := p["metadata"].(map[string]any)
	if !ok || metadata["managedFields"] == nil {
		return patch
	}
	delete(metadata, "managedFields")
	if out, err := json.Marshal(p); err == nil {
		return out
	}
	return patch
}

// describeIntent is an intent in a line.
func describeIntent(i Intent) string {
	what := string(i.Verb)
	if i.Verb == VerbAppend {
		what = i.Type
	}
	if i.Subresource != "" {
		what += " " + i.Subresource + " of"
	}
	return strings.TrimSpace(fmt.Sprintf("%s %s %s", what, i.Key, i.Data))
}
