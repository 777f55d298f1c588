package history

import (
	"errors"
	"testing"
	"time"

	"github.com/reckon-project/reckon/events"
)

// FuzzParseMoment: whatever is written, it is a moment of the past or an error of
// class ErrInvalid.
func FuzzParseMoment(f *testing.F) {
	now := time.Date(2026, 11, 21, 18, 0, 0, 0, time.UTC)
	for _, seed := range []string{"now", "12345", "10m", "3d", "1w2d12h", "2026-11-20T10:00:00Z", "", "-1", "99999999999999999999", "9999w99999d", "1e9h", "2026-11-20T10:00:00+25:00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, err := ParseMoment(text, now)
		switch {
		case err != nil && !errors.Is(err, events.ErrInvalid):
			t.Errorf("%q: %v", text, err)
		case err == nil && m.Sequence == 0 && m.Time.After(now.Add(clockSlack)):
			t.Errorf("%q is in the future: %s", text, m.Time)
		case err == nil && m.Now() && text != "now":
			t.Errorf("%q is now", text)
		}
	})
}

// FuzzPath: a path is refused or looked up, and the parts of what is found are
// found by the paths that Fields gives.
func FuzzPath(f *testing.F) {
	for _, seed := range []string{"spec.replicas", ".spec", "a[b].c", "a[0][1]", "a[example.com/x]", "a.[b]", "a]", "a..b", "[", "a['b']"} {
		f.Add(seed)
	}
	tree := map[string]any{
		"a": []any{map[string]any{"name": "b", "c": "1"}, map[string]any{"name": "0", "c": "2"}},
		"m": map[string]any{"example.com/x": "y"}, "w": []any{"x", []any{"y"}},
	}
	f.Fuzz(func(t *testing.T, text string) {
		path, err := parsePath(text)
		if err != nil {
			if !errors.Is(err, events.ErrInvalid) {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		lookup(tree, path)
	})
}

// TestPath: the paths that Fields gives are those that WhyField takes.
func TestPath(t *testing.T) {
	tree := map[string]any{
		"a": []any{map[string]any{"name": "b", "c": "1"}, map[string]any{"name": "0", "c": "2"}},
		"m": map[string]any{"example.com/x": "y"}, "w": []any{"x", "y"},
	}
	for text, want := range map[string]any{
		"a[b].c": "1", "a[0].c": "2", "a.b.c": "1", ".a[1].c": "2", "m[example.com/x]": "y", `m["example.com/x"]`: "y", "w[1]": "y", "w[2]": nil, "a[b].c.d": nil, "x": nil,
	} {
		path, err := parsePath(text)
		if got := lookup(tree, path); err != nil || got != want {
			t.Errorf("%s = %v, %v, want %v", text, got, err, want)
		}
	}
}
