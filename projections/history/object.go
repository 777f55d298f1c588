package history

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/reckon-project/reckon/events"
)

// Ref names an object in an answer.
type Ref struct {
	Group     string `json:"group,omitempty"`
	Resource  string `json:"resource"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
}

// RefTo is the Ref of a key.
func RefTo(k events.Key) Ref { return Ref{k.Group, k.Resource, k.Namespace, k.Name} }

// Key is the key of a Ref.
func (r Ref) Key() events.Key { return events.Key(r) }

// String is how people name the object where its namespace is clear: "deployment/web".
func (r Ref) String() string { return kindName(r.Resource, r.Name) }

// Life is every event of one name that is kept, oldest first: of the object
// there is, and of those that had the name before.
type Life struct {
	Object Ref    `json:"object"`
	Steps  []Step `json:"steps"`
	// Begins is the first sequence that the log keeps, and Ends the last one
	// that was looked at.
	Begins uint64 `json:"begins"`
	Ends   uint64 `json:"ends"`
}

// Object gives the history of the object of a name, read by its own events only.
// An object that the kept history holds no event of is an error of class
// events.ErrNotFound.
func (r *Reader) Object(ctx context.Context, k events.Key) (*Life, error) {
	first, last, err := r.Log.Range(ctx)
	if err != nil {
		return nil, fmt.Errorf("history of %s: %w", k, err)
	}
	life := &Life{Object: RefTo(k), Begins: first, Ends: last}
	for c, err := range r.changes(ctx, k) {
		if err != nil {
			return nil, err
		}
		if len(life.Steps) == 0 && c.Old.Exists() {
			if err := r.known(ctx, life, c.Old); err != nil {
				return nil, err
			}
		}
		s, err := newStep(c)
		if err != nil {
			return nil, err
		}
		life.Steps = append(life.Steps, s)
	}
	if len(life.Steps) == 0 && first > 1 {
		if err := r.Projection.WaitFor(ctx, last); err != nil {
			return nil, fmt.Errorf("history of %s: %w", k, err)
		}
		if o := r.Projection.Snapshot().Get(k); o.Exists() && o.Version < first {
			if err := r.known(ctx, life, o); err != nil {
				return nil, err
			}
		}
	}
	if len(life.Steps) == 0 && volatile(k) {
		return nil, fmt.Errorf("%s: objects of its kind are kept for a while only, and have no history: %w", k, events.ErrNotFound)
	}
	if len(life.Steps) == 0 {
		return nil, fmt.Errorf("%s: the history has no event of it%s: %w", k, r.since(ctx, first), events.ErrNotFound)
	}
	return life, nil
}

// volatile: kinds that are kept beside the log, for a while.
func volatile(k events.Key) bool {
	switch k.Group {
	case "coordination.k8s.io":
		return k.Resource == "leases"
	case "", "events.k8s.io":
		return k.Resource == "events"
	}
	return false
}

// known begins a life with an object that is older than the history.
func (r *Reader) known(ctx context.Context, life *Life, o *events.Object) error {
	edge, err := eventFrom(ctx, r.Log, life.Begins)
	if err != nil {
		return fmt.Errorf("history of %s: %w", o.Key, err)
	}
	at := time.Time{}
	if edge != nil {
		at = edge.Time
	}
	life.Steps = append(life.Steps, knownStep(o, at))
	return nil
}

// since says where the history begins, if that isn't at the beginning.
func (r *Reader) since(ctx context.Context, first uint64) string {
	if first <= 1 {
		return ""
	}
	if e, err := eventFrom(ctx, r.Log, first); err == nil && e != nil {
		return fmt.Sprintf(" since it begins (%s, sequence %d)", e.Stored.UTC().Format(time.RFC3339), first)
	}
	return fmt.Sprintf(" since it begins (sequence %d)", first)
}

// At is the last step at a position or before it that had an effect; nil if
// there is none.
func (l *Life) At(position uint64) *Step {
	for i := len(l.Steps) - 1; i >= 0; i-- {
		if s := &l.Steps[i]; s.Sequence <= position && s.Void == "" {
			return s
		}
	}
	return nil
}

// hidden stands for the value of a Secret.
const hidden = "(hidden)"

// Shown is an object as everybody who may read about it may see it: without the
// values of a Secret, and without managedFields.
func Shown(o *events.Object) runtime.Object {
	value := o.Value.DeepCopyObject()
	value.(metav1.Object).SetManagedFields(nil)
	if secret, ok := value.(*corev1.Secret); ok {
		secret.StringData = make(map[string]string, len(secret.Data))
		for name := range secret.Data {
			secret.StringData[name] = hidden
		}
		secret.Data = nil
		if len(secret.StringData) == 0 {
			secret.StringData = nil
		}
		delete(secret.Annotations, corev1.LastAppliedConfigAnnotation)
	}
	return value
}

// Document is an object as JSON with its apiVersion, kind and resourceVersion.
func Document(value runtime.Object) (json.RawMessage, error) {
	data, err := events.EncodeObject(value)
	if err != nil {
		return nil, err
	}
	version := value.(metav1.Object).GetResourceVersion()
	if version == "" {
		return data, nil
	}
	var m map[string]json.RawMessage
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, err
	}
	var metadata map[string]json.RawMessage
	if err := json.Unmarshal(m["metadata"], &metadata); err != nil {
		return nil, err
	}
	if metadata["resourceVersion"], err = json.Marshal(version); err != nil {
		return nil, err
	}
	if m["metadata"], err = json.Marshal(metadata); err != nil {
		return nil, err
	}
	return json.Marshal(m)
}
