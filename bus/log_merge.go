package bus

import (
	"iter"

	"github.com/reckon-project/reckon/events"
)

// merge yields the events of several ordered parts in the order of their
// sequences, one that is in several of them once. The first error ends it.
func merge(parts []iter.Seq2[*events.Event, error]) iter.Seq2[*events.Event, error] {
	return func(yield func(*events.Event, error) bool) {
		type part struct {
			next func() (*events.Event, error, bool)
			head *events.Event
		}
		var open []*part
		advance := func(p *part) (err error, ok bool) {
			p.head, err, ok = p.next()
			return err, ok
		}
		for _, each := range parts {
			next, stop := iter.Pull2(each)
			defer stop()
			p := &part{next: next}
			switch err, ok := advance(p); {
			case err != nil:
				yield(nil, err)
				return
			case ok:
				open = append(open, p)
			}
		}
		var last uint64
		for len(open) > 0 {
			first := 0
			for i, p := range open {
				if p.head.Sequence < open[first].head.Sequence {
					first = i
				}
			}
			p := open[first]
			if p.head.Sequence > last {
				last = p.head.Sequence
				if !yield(p.head, nil) {
					return
				}
			}
			switch err, ok := advance(p); {
			case err != nil:
				yield(nil, err)
				return
			case !ok:
				open = append(open[:first], open[first+1:]...)
			}
		}
	}
}
