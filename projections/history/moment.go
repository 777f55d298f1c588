package history

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/reckon-project/reckon/events"
)

// Moment is a point of the past as people name it: a sequence of the log, or a time.
type Moment struct {
	// Text is what was written ("10m").
	Text string
	// Sequence is the position meant, if the moment was given as one.
	Sequence uint64
	// Time is the time meant, for a moment given as a time or an age; zero for
	// a sequence and for "now".
	Time time.Time
}

// momentForms is what an error says that a moment may be.
const momentForms = "a sequence like 12345, an age like 10m, 2h30m or 3d, a time like 2026-01-02T15:04:05Z, or now"

// clockSlack is how far ahead another machine's clock may be.
const clockSlack = time.Minute

// ParseMoment reads a moment: a sequence of the log ("12345"), an RFC 3339 time
// ("2026-01-02T15:04:05Z"), an age before now ("10m", "2h30m", "3d", "1w2d12h") or
// "now", which is the end of the log. Anything else, and a time in the future, is
// an error of class events.ErrInvalid.
func ParseMoment(text string, now time.Time) (Moment, error) {
	m := Moment{Text: text}
	if text == "now" {
		return m, nil
	}
	if text != "" && strings.Trim(text, "0123456789") == "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil || n == 0 {
			return Moment{}, fmt.Errorf("moment %q: sequences go from 1 to %d: %w", text, uint64(1<<64-1), events.ErrInvalid)
		}
		m.Sequence = n
		return m, nil
	}
	if age, ok := parseAge(text); ok {
		m.Time = now.Add(-age)
		return m, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return Moment{}, fmt.Errorf("moment %q is none of %s: %w", text, momentForms, events.ErrInvalid)
	}
	if t.After(now.Add(clockSlack)) {
		return Moment{}, fmt.Errorf("moment %q is in the future: it is %s now: %w", text, now.UTC().Format(time.RFC3339), events.ErrInvalid)
	}
	m.Time = t
	return m, nil
}

// Now reports whether the moment is the end of the log.
func (m Moment) Now() bool { return m.Sequence == 0 && m.Time.IsZero() }

// longestAge is about as many days as a time.Duration holds.
const longestAge = 106_000

var longAge = regexp.MustCompile(`^(?:([0-9]{1,4})w)?(?:([0-9]{1,5})d)?(.*)$`)

// parseAge reads a duration that may begin with weeks and days.
func parseAge(text string) (time.Duration, bool) {
	parts := longAge.FindStringSubmatch(text)
	if text == "" || parts == nil || strings.HasPrefix(text, "-") || strings.HasPrefix(text, "+") {
		return 0, false
	}
	days := 0
	for i, unit := range []int{7, 1} {
		if parts[i+1] != "" {
			n, err := strconv.Atoi(parts[i+1])
			if err != nil {
				return 0, false
			}
			days += n * unit
		}
	}
	if days > longestAge {
		return 0, false
	}
	age := time.Duration(days) * 24 * time.Hour
	if parts[3] == "" {
		return age, true
	}
	rest, err := time.ParseDuration(parts[3])
	if err != nil || rest < 0 || age+rest < age {
		return 0, false
	}
	return age + rest, true
}
