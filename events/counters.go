package events

import "slices"

// Counters holds the last counter folded of each reporter, in order of their
// names. Most objects have one reporter: the node that they are on.
type Counters []ReporterCounter

// ReporterCounter is one reporter's last counter.
type ReporterCounter struct {
	Reporter string
	Counter  Counter
}

// Of gives a reporter's last counter.
func (c Counters) Of(reporter string) (Counter, bool) {
	for i := range c {
		if c[i].Reporter == reporter {
			return c[i].Counter, true
		}
	}
	return Counter{}, false
}

// with gives a copy in which reporter's counter is last.
func (c Counters) with(reporter string, last Counter) Counters {
	i := 0
	for i < len(c) && c[i].Reporter < reporter {
		i++
	}
	if i < len(c) && c[i].Reporter == reporter {
		c = slices.Clone(c)
		c[i].Counter = last
		return c
	}
	next := make(Counters, 0, len(c)+1)
	next = append(append(next, c[:i]...), ReporterCounter{reporter, last})
	return append(next, c[i:]...)
}
