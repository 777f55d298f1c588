package history

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// shownWidth bounds a value on one line, in runes.
const shownWidth = 100

// Show is a value of a Field on one line: words as they are, what has an inside
// as YAML would have it in one line, bounded.
func Show(v any) string {
	s := strings.Join(strings.Fields(flow(v, true)), " ")
	if s == "" {
		s = `""`
	}
	if utf8.RuneCountInString(s) > shownWidth {
		s = string([]rune(s)[:shownWidth-1]) + "…"
	}
	return s
}

func flow(v any, outside bool) string {
	switch v := v.(type) {
	case nil:
		return "none"
	case string:
		if v == "" && !outside {
			return `""`
		}
		return v
	case json.Number:
		return v.String()
	case map[string]any:
		parts := make([]string, 0, len(v))
		for _, k := range unionKeys(v, nil) {
			parts = append(parts, k+": "+flow(v[k], false))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case []any:
		parts := make([]string, len(v))
		for i, e := range v {
			parts[i] = flow(e, false)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case []string:
		return "[" + strings.Join(v, ", ") + "]"
	}
	return fmt.Sprint(v)
}

// clock is a time in a sentence; the reader knows the day.
func clock(t time.Time) string { return t.UTC().Format(time.RFC3339) }
