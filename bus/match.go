package bus

import (
	"slices"
	"strings"
)

// Match reports whether a NATS subject filter matches subject.
func Match(filter, subject string) bool {
	for {
		f, fRest, fMore := strings.Cut(filter, ".")
		if f == ">" {
			return subject != ""
		}
		s, sRest, sMore := strings.Cut(subject, ".")
		if f != "*" && f != s || fMore != sMore {
			return false
		}
		if !fMore {
			return true
		}
		filter, subject = fRest, sRest
	}
}

// MatchAny reports whether one of the filters matches; no filter matches all.
func MatchAny(filters []string, subject string) bool {
	return len(filters) == 0 || slices.ContainsFunc(filters, func(f string) bool { return Match(f, subject) })
}
