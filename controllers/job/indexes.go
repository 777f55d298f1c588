package job

import (
	"slices"
	"strconv"
	"strings"
)

// span is a run of completion indexes, both ends included.
type span struct{ first, last int }

// indexes is a set of completion indexes: spans in order that don't touch.
type indexes []span

// parseIndexes reads "1,3-5,7". Indexes from completions on are left out, as is
// what can't be read.
func parseIndexes(text string, completions int) indexes {
	var out indexes
	if text == "" {
		return nil
	}
	for part := range strings.SplitSeq(text, ",") {
		from, to, ranged := strings.Cut(part, "-")
		first, err := strconv.Atoi(from)
		if err != nil {
			continue
		}
		last := first
		if ranged {
			if last, err = strconv.Atoi(to); err != nil {
				continue
			}
		}
		if first >= completions {
			break
		}
		out = out.and(indexes{{first, min(last, completions-1)}})
	}
	return out
}

// indexesOf makes a set of single indexes, in any order.
func indexesOf(list []int) indexes {
	list = slices.Clone(list)
	slices.Sort(list)
	var out indexes
	for _, i := range list {
		if n := len(out); n > 0 && i <= out[n-1].last+1 {
			out[n-1].last = max(out[n-1].last, i)
			continue
		}
		out = append(out, span{i, i})
	}
	return out
}

// and is the union.
func (x indexes) and(y indexes) indexes {
	if len(y) == 0 {
		return x
	}
	all := slices.Concat(x, y)
	slices.SortFunc(all, func(a, b span) int { return a.first - b.first })
	out := all[:1]
	for _, s := range all[1:] {
		if end := &out[len(out)-1]; s.first <= end.last+1 {
			end.last = max(end.last, s.last)
			continue
		}
		out = append(out, s)
	}
	return out
}

func (x indexes) total() int {
	n := 0
	for _, s := range x {
		n += s.last - s.first + 1
	}
	return n
}

func (x indexes) has(i int) bool {
	at, _ := slices.BinarySearchFunc(x, i, func(s span, i int) int { return s.last - i })
	return at < len(x) && x[at].first <= i
}

// common counts the indexes that are in both sets.
func (x indexes) common(y indexes) int {
	n := 0
	for _, a := range x {
		for _, b := range y {
			n += max(0, min(a.last, b.last)-max(a.first, b.first)+1)
		}
	}
	return n
}

// missing gives the lowest indexes below completions that aren't in the set, n at most.
func (x indexes) missing(n, completions int) []int {
	var out []int
	next := 0
	for _, s := range x {
		for ; next < min(s.first, completions) && len(out) < n; next++ {
			out = append(out, next)
		}
		next = max(next, s.last+1)
	}
	for ; next < completions && len(out) < n; next++ {
		out = append(out, next)
	}
	return out
}

func (x indexes) String() string {
	var b strings.Builder
	for _, s := range x {
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Itoa(s.first))
		switch s.last {
		case s.first:
		case s.first + 1:
			b.WriteString("," + strconv.Itoa(s.last))
		default:
			b.WriteString("-" + strconv.Itoa(s.last))
		}
	}
	return b.String()
}
