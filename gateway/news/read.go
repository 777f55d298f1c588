package news

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/tidwall/btree"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	api "k8s.io/kubernetes/pkg/apis/core"

	over "github.com/reckon-project/reckon/gateway/store"
)

// value builds the registry's object of an entry: a copy of its own.
func (e *entry) value() (*api.Event, error) {
	v := e.event
	if v != nil {
		v = v.DeepCopy()
	} else {
		v = e.story.event()
	}
	v.ResourceVersion = strconv.FormatUint(e.version, 10)
	out := &api.Event{}
	return out, legacyscheme.Scheme.Convert(v, out, nil)
}

// about is the object an entry's Event is about, without building it.
func (e *entry) about() *corev1.ObjectReference {
	if e.event != nil {
		return &e.event.InvolvedObject
	}
	return &e.story.about
}

// selection is a SelectionPredicate that refuses most entries unbuilt.
type selection struct {
	storage.SelectionPredicate
	prefix string // of keys
	exact  bool
	uid    string // that the predicate demands, or ""
	name   string
}

func (s *store) selection(key string, recursive bool, p storage.SelectionPredicate) selection {
	sel := selection{SelectionPredicate: p, prefix: s.trim(key), exact: !recursive}
	if recursive && sel.prefix != "" && !strings.HasSuffix(sel.prefix, "/") {
		sel.prefix += "/"
	}
	if p.Field != nil {
		sel.uid, _ = p.Field.RequiresExactMatch("involvedObject.uid")
		sel.name, _ = p.Field.RequiresExactMatch("involvedObject.name")
	}
	return sel
}

// match gives the entry's object if it is selected, nil if not.
func (s selection) match(e *entry) (*api.Event, error) {
	if e == nil || !strings.HasPrefix(e.key, s.prefix) || (s.exact && e.key != s.prefix) {
		return nil, nil
	}
	about := e.about()
	if (s.uid != "" && s.uid != string(about.UID)) || (s.name != "" && s.name != about.Name) {
		return nil, nil
	}
	v, err := e.value()
	if err != nil {
		return nil, err
	}
	if s.Empty() {
		return v, nil
	}
	ok, err := s.Matches(v)
	if err != nil || !ok {
		return nil, err
	}
	return v, nil
}

// present gives everything in the book, complete up to what was acknowledged
// or folded before the call; or what the log had told at the moment of ctx.
func (s *store) present(ctx context.Context) (*btree.Map[string, *entry], uint64, error) {
	if moment, ok := over.MomentOf(ctx); ok {
		items, err := s.book.then(ctx, moment)
		return items, moment, err
	}
	if err := s.book.recall(ctx); err != nil {
		return nil, 0, err
	}
	position, err := s.Interface.GetCurrentResourceVersion(ctx)
	if err != nil {
		return nil, 0, err
	}
	if err := s.book.await(ctx, fromVolatile, position); err != nil {
		return nil, 0, err
	}
	if err := s.book.await(ctx, fromLog, s.book.Log.Snapshot().Position()); err != nil {
		return nil, 0, err
	}
	s.book.mu.Lock()
	defer s.book.mu.Unlock()
	s.book.prune()
	return s.book.items.Copy(), s.book.version, nil
}

// Get implements storage.Interface.
func (s *store) Get(ctx context.Context, key string, o storage.GetOptions, out runtime.Object) error {
	items, _, err := s.present(ctx)
	if err != nil {
		return err
	}
	e, ok := items.Get(s.trim(key))
	if !ok {
		if o.IgnoreNotFound {
			return runtime.SetZeroValue(out)
		}
		return storage.NewKeyNotFoundError(key, 0)
	}
	return e.into(out)
}

func (e *entry) into(out runtime.Object) error {
	v, err := e.value()
	if err != nil {
		return err
	}
	to, ok := out.(*api.Event)
	if !ok {
		return fmt.Errorf("an Event can't be read into a %T", out)
	}
	*to = *v
	return nil
}

// GetList implements storage.Interface. It gives the present, whatever version
// was asked for; exact versions of the past are gone.
func (s *store) GetList(ctx context.Context, key string, o storage.ListOptions, list runtime.Object) error {
	items, version, err := s.present(ctx)
	if err != nil {
		return err
	}
	if o.ResourceVersionMatch == "Exact" && o.ResourceVersion != strconv.FormatUint(version, 10) {
		return apierrors.NewResourceExpired("Events are kept at their newest version only")
	}
	to, ok := list.(*api.EventList)
	if !ok {
		return fmt.Errorf("Events can't be listed into a %T", list)
	}
	to.Items = []api.Event{}
	sel := s.selection(key, o.Recursive, o.Predicate)
	items.Ascend(sel.prefix, func(k string, e *entry) bool {
		if !strings.HasPrefix(k, sel.prefix) {
			return false
		}
		var v *api.Event
		if v, err = sel.match(e); err != nil {
			return false
		}
		if v != nil {
			to.Items = append(to.Items, *v)
		}
		return true
	})
	if err != nil {
		return err
	}
	return s.Versioner().UpdateList(list, version, "", nil)
}

// GetCurrentResourceVersion implements storage.Interface.
func (s *store) GetCurrentResourceVersion(ctx context.Context) (uint64, error) {
	_, version, err := s.present(ctx)
	return version, err
}

// CompactRevision implements storage.Interface.
func (s *store) CompactRevision() int64 {
	s.book.mu.Lock()
	defer s.book.mu.Unlock()
	return int64(s.book.floor)
}
