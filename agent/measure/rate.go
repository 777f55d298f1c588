package measure

import "time"

// point is a counter of CPU time as it was once.
type point struct {
	at    time.Time
	nanos uint64
}

// rate remembers two points of a counter that are at least shortest apart.
type rate struct{ older, newer *point }

// add gives the rate up to p, and remembers p if it is far enough from the last.
func (r *rate) add(p point) *Rate {
	if r.newer != nil && p.nanos < r.newer.nanos {
		*r = rate{} // it began anew
	}
	base := r.older
	if r.newer == nil || p.at.Sub(r.newer.at) >= shortest {
		if r.newer != nil {
			base = r.newer
		}
		r.older, r.newer = base, &p
	}
	if base == nil || !p.at.After(base.at) || p.nanos < base.nanos {
		return nil
	}
	window := p.at.Sub(base.at)
	return &Rate{NanoCores: uint64(float64(p.nanos-base.nanos) / window.Seconds()), Window: window}
}
