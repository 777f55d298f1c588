package pod

import (
	"strings"
	"testing"
)

func TestExpand(t *testing.T) {
	values := map[string]string{"A": "1", "B": "$(A)"}
	lookup := func(n string) (string, bool) { v, ok := values[n]; return v, ok }
	for in, want := range map[string]string{
		"plain": "plain", "$(A)": "1", "x$(A)y$(A)": "x1y1", "$(B)": "$(A)", "$(C)": "$(C)",
		"$$(A)": "$(A)", "$$$(A)": "$1", "$A": "$A", "$(A": "$(A", "$": "$", "a$": "a$", "$()": "$()",
	} {
		if got := Expand(in, lookup); got != want {
			t.Errorf("%q becomes %q, not %q", in, got, want)
		}
	}
}

func FuzzExpand(f *testing.F) {
	f.Add("$(A)$$(B)$(")
	f.Fuzz(func(t *testing.T, s string) {
		none := func(string) (string, bool) { return "", false }
		got := Expand(s, none)
		if !strings.Contains(s, "$$") && got != s {
			t.Errorf("%q became %q though nothing is known", s, got)
		}
	})
}
