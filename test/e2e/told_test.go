package e2e

import (
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// told runs a command of reckon and leaves what it says in the file "told",
// without what differs from run to run: times, sequences and made-up names. Equal
// ones stay equal: the first pod that is named is POD1 wherever it is named.
func told(ts *testscript.TestScript, neg bool, args []string) {
	run(ts, neg, args)
	ts.Check(os.WriteFile(ts.MkAbs("told"), []byte(normalised(ts.ReadFile("stdout"))), 0o644))
}

var (
	weekday  = regexp.MustCompile(`(Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, \d+ \w+ \d{4}`)
	moment   = regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?`)
	clock    = regexp.MustCompile(`\b\d\d:\d\d:\d\d(\.\d+)?\b`)
	sequence = regexp.MustCompile(` *#\d+`)
	row      = regexp.MustCompile(`(?m)^WHEN +\d+ +`) // of a table
	pod      = regexp.MustCompile(`\bweb-[0-9a-f]{6,10}-[bcdfghjklmnpqrstvwxz2456789]{5}\b`)
	set      = regexp.MustCompile(`\bweb-[0-9a-f]{6,10}\b`)
)

func normalised(text string) string {
	text = weekday.ReplaceAllString(text, "DAY")
	text = moment.ReplaceAllString(text, "WHEN")
	text = clock.ReplaceAllString(text, "TIME")
	text = sequence.ReplaceAllString(text, "#N")
	text = row.ReplaceAllString(text, "WHEN  N  ")
	text = numbered(text, pod, "POD")
	text = numbered(text, set, "SET")
	var lines []string
	for line := range strings.Lines(text) {
		lines = append(lines, strings.TrimRight(line, " \n"))
	}
	return strings.Join(lines, "\n") + "\n"
}

// numbered calls what matches NAME1, NAME2, … in the order of their first mention.
func numbered(text string, match *regexp.Regexp, name string) string {
	seen := map[string]string{}
	return match.ReplaceAllStringFunc(text, func(s string) string {
		if seen[s] == "" {
			seen[s] = fmt.Sprint(name, len(seen)+1)
		}
		return seen[s]
	})
}
