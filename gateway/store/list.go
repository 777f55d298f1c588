package store

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/conversion"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/storage"

	"github.com/reckon-project/reckon/events"
)

// GetList implements storage.Interface.
func (s *Store) GetList(ctx context.Context, key string, opts storage.ListOptions, listObj runtime.Object) error {
	rel, prepared, err := s.relative(key, opts.Recursive)
	if err != nil {
		return err
	}
	items, err := itemsOf(listObj)
	if err != nil {
		return err
	}
	at, continueKey, err := storage.ValidateListOptions(prepared, s.versioner, opts)
	if err != nil {
		return err
	}
	v, err := s.view(ctx, at, opts)
	if errors.Is(err, events.ErrGone) && continueKey != "" {
		return pageExpired(continueKey, prepared)
	}
	if err != nil {
		return apiError(err, "")
	}
	if !opts.Recursive {
		return s.listOne(ctx, key, v, opts, items, listObj)
	}
	start := ""
	if continueKey != "" {
		start = continueKey[len(s.prefix)+1:]
	}
	page, err := s.readPage(ctx, v, rel, start, opts.Predicate, items, newItem(listObj, items))
	if err != nil {
		return err
	}
	next, remaining, err := storage.PrepareContinueToken(s.prefix+"/"+page.last, prepared, int64(v.position), page.count, page.more, opts)
	if err != nil {
		return err
	}
	if next != "" && v.position == v.snap.Position() && !v.refolded { // what isn't kept can be folded again
		s.Projection.Retain(v.snap, pageLife)
	}
	return s.finish(listObj, items, v.position, next, remaining)
}

// pageLife is how long the present state of a list that has more pages is surely kept.
const pageLife = 5 * time.Minute

// page is what reading a list found besides its items.
type page struct {
	last  string // relative key of the last object looked at
	more  bool   // there are objects after last
	count int64  // objects in the range, where the predicate is empty and more holds
}

func (s *Store) readPage(ctx context.Context, v *view, prefix, start string, pred storage.SelectionPredicate, items reflect.Value, item func() runtime.Object) (page, error) {
	var p page
	var bad unreadables
	all := pred.Empty()
	for o := range v.ascend(prefix, start) {
		if pred.Limit > 0 && int64(items.Len()) >= pred.Limit {
			p.more = true
			if !all {
				break
			}
			p.count++
			continue
		}
		p.last = relativeKey(o.Key)
		p.count++
		if err := ctx.Err(); err != nil {
			return p, storage.NewTimeoutError(p.last, "the request ended before its list was read")
		}
		if !all && !s.mayMatch(&pred, o) {
			continue
		}
		if err := s.appendItem(ctx, o, pred, items, item()); err != nil {
			if err := bad.add(err, s.resource); err != nil {
				return p, err
			}
		}
	}
	return p, bad.err(s.resource)
}

func (s *Store) appendItem(ctx context.Context, o *events.Object, pred storage.SelectionPredicate, items reflect.Value, item runtime.Object) error {
	value, err := s.openWas(ctx, o)
	if err != nil {
		return unreadable(err, s.storageKey(o.Key))
	}
	if err := s.convert.servedInto(value, o.Version, item); err != nil {
		return err
	}
	if ok, err := pred.Matches(item); err == nil && ok {
		items.Set(reflect.Append(items, reflect.ValueOf(item).Elem()))
	}
	return nil
}

func (s *Store) listOne(ctx context.Context, key string, v *view, opts storage.ListOptions, items reflect.Value, listObj runtime.Object) error {
	k, err := s.objectKey(key)
	if err != nil {
		return err
	}
	if k.Name != "" {
		if o := v.get(k); o != nil {
			if err := s.appendItem(ctx, o, opts.Predicate, items, newItem(listObj, items)()); err != nil {
				return err
			}
		}
	}
	return s.finish(listObj, items, v.position, "", nil)
}

func (s *Store) finish(listObj runtime.Object, items reflect.Value, position uint64, next string, remaining *int64) error {
	if items.IsNil() {
		items.Set(reflect.MakeSlice(items.Type(), 0, 0))
	}
	return s.versioner.UpdateList(listObj, position, next, remaining)
}

func itemsOf(listObj runtime.Object) (reflect.Value, error) {
	ptr, err := meta.GetItemsPtr(listObj)
	if err != nil {
		return reflect.Value{}, err
	}
	v, err := conversion.EnforcePtr(ptr)
	if err != nil || v.Kind() != reflect.Slice {
		return reflect.Value{}, fmt.Errorf("%w: the items of %T are not a slice: %v", events.ErrInvalid, listObj, err)
	}
	return v, nil
}

// newItem makes the function that makes a list's items: those of an
// unstructured list are of its apiVersion.
func newItem(listObj runtime.Object, items reflect.Value) func() runtime.Object {
	if list, ok := listObj.(*unstructured.UnstructuredList); ok {
		if version := list.GetAPIVersion(); version != "" {
			return func() runtime.Object {
				return &unstructured.Unstructured{Object: map[string]any{"apiVersion": version}}
			}
		}
	}
	elem := items.Type().Elem()
	return func() runtime.Object { return reflect.New(elem).Interface().(runtime.Object) }
}
