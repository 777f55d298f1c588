package projections

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
	"golang.org/x/sync/errgroup"
)

type verifier struct {
	blobs   bus.Blobs
	key     ed25519.PublicKey
	options VerifyOptions
	points  map[uint64][]point // by position

	state   *state
	chained uint64 // what the chain begins after, by the newest checkpoint
	good    uint64 // the last position that somebody vouched for
	what    string // who
	off     bool   // the state follows from changed events: it isn't compared

	encoded encodings // of the states compared, one after the other

	mu     sync.Mutex
	report *Report
}

// collect reads the points.
func (v *verifier) collect(ctx context.Context) error {
	stored, err := checkpointPositions(ctx, v.blobs)
	if err != nil {
		return err
	}
	for _, position := range stored {
		p, err := readPoint(ctx, position, v.blobs, v.key)
		if errors.Is(err, events.ErrNotFound) {
			continue // an old one, removed meanwhile
		}
		if err != nil {
			return err
		}
		v.points[position] = append(v.points[position], p)
		if p.problem == "" {
			v.chained = p.chained
		}
	}
	if s := v.options.Live; s != nil {
		v.chained = s.Chained
	}
	for position, points := range v.points {
		if p := &points[0]; p.problem == "" && !p.trusted && position > v.chained {
			p.problem = p.what + " isn't signed, as all are that have a chain"
		}
	}
	for _, a := range v.options.Anchors {
		p := point{position: a.Position, what: "the anchor of " + a.Time.Format(time.RFC3339), chain: a.Chain, chained: v.chained, trusted: true, anchor: true}
		if v.key != nil && !ed25519.Verify(v.key, a.signed(), a.Signature) {
			p.trusted, p.problem = false, p.what+" isn't signed by this cluster's key"
		}
		v.points[a.Position] = append(v.points[a.Position], p)
	}
	if s := v.options.Live; s != nil {
		p := point{position: s.Position, what: "the live state", chain: s.Chain, chained: s.Chained, trusted: true, checksum: s.Checksum}
		v.points[p.position] = append(v.points[p.position], p)
	}
	return nil
}

// begin takes the state to fold on from.
func (v *verifier) begin(ctx context.Context) error {
	if v.report.First <= 1 {
		v.state, v.what = newState(), "the beginning"
		v.state.plain = true
		return nil
	}
	for _, position := range slices.Sorted(maps.Keys(v.points)) {
		p := v.points[position][0]
		if position+1 < v.report.First || !p.checkpoint || p.problem != "" {
			continue
		}
		s, err := ReadCheckpoint(ctx, position, v.blobs)
		if err != nil {
			return err
		}
		v.state, v.good, v.what = s.s.thaw(), position, p.what
		v.state.plain = true
		v.report.Base, v.report.First = position, position+1
		return nil
	}
	return fmt.Errorf("the log begins at %d and no checkpoint that can be relied on reaches back to it: %w", v.report.First, events.ErrGone)
}

func (v *verifier) fold(ctx context.Context, log bus.Log) error {
	group, ctx := errgroup.WithContext(ctx)
	in := readDigested(ctx, group, log, v.state.position+1, v.report.Last)
	states, _ := errgroup.WithContext(ctx)
	states.SetLimit(1)
	group.Go(func() error {
		err := v.run(ctx, in, states)
		return errors.Join(err, states.Wait())
	})
	return group.Wait()
}

func (v *verifier) run(ctx context.Context, in <-chan digested, states *errgroup.Group) error {
	if err := v.reach(ctx, states); err != nil {
		return err
	}
	s := v.state
	for d := range in {
		for i, e := range d.events {
			if due := s.position + 1; e.Sequence != due {
				v.find(due, e.Sequence-1, "%s: missing from the log", span(due, e.Sequence-1))
			}
			if s.chained < v.chained && e.Sequence > v.chained { // as the cluster's own fold did
				s.chained, s.chain = v.chained, events.Chain{}
			}
			s.chain = s.chain.Next(d.digests[i])
			s.applyUnchained(e)
			if err := v.reach(ctx, states); err != nil {
				return err
			}
			s = v.state
		}
		if v.options.Progress != nil {
			v.options.Progress(s.position)
		}
	}
	return ctx.Err()
}

// reach compares with what was said about the position that the fold is at.
func (v *verifier) reach(ctx context.Context, states *errgroup.Group) error {
	points := v.points[v.state.position]
	delete(v.points, v.state.position)
	for _, p := range points {
		if p.problem != "" {
			v.find(p.position, p.position, "%s", p.problem)
			continue
		}
		if p.chained != v.state.chained {
			v.count(p, true)
			continue // of before there was a chain
		}
		if p.chain != v.state.chain {
			if err := v.broken(ctx, p); err != nil {
				return err
			}
			continue
		}
		if p.trusted {
			v.good, v.what = p.position, p.what
		}
		if p.checksum == nil || v.off {
			v.count(p, false)
			continue
		}
		frozen := &Snapshot{v.state.freeze()}
		states.Go(func() error { return v.compare(frozen, p) })
	}
	return nil
}

// broken tells of a chain that isn't what a point says, and goes on from there.
func (v *verifier) broken(ctx context.Context, p point) error {
	if !p.trusted {
		v.find(p.position, p.position, "%s doesn't belong to this log, and nobody signed it", p.what)
		return nil
	}
	v.find(v.good+1, p.position, "%s: changed, removed, added or moved: the log agrees with %s, and no longer with %s", span(v.good+1, p.position), v.what, p.what)
	v.good, v.what = p.position, p.what
	v.state.chain, v.off = p.chain, true
	if !p.checkpoint {
		return nil
	}
	s, err := ReadCheckpoint(ctx, p.position, v.blobs)
	if err != nil {
		return err
	}
	v.state, v.off = s.s.thaw(), false
	v.state.plain = true
	return nil
}

// compare compares a state with its checksum in a point.
func (v *verifier) compare(s *Snapshot, p point) error {
	checksum, err := v.encoded.checksum(s)
	if err != nil {
		return err
	}
	if !bytes.Equal(checksum, p.checksum) {
		v.find(p.position, p.position, "%s holds another state than the log gives", p.what)
		return nil
	}
	v.count(p, false)
	return nil
}

func (v *verifier) count(p point, unchained bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case p.checkpoint:
		v.report.Checkpoints++
		if unchained || !p.trusted {
			v.report.Unsigned++
		}
	case p.anchor:
		v.report.Anchors++
	default:
		v.report.Live = true
	}
}

func (v *verifier) find(from, to uint64, format string, args ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.report.Findings = append(v.report.Findings, Finding{from, to, fmt.Sprintf(format, args...)})
}

// end looks at what the log doesn't reach to, and completes the report.
func (v *verifier) end() {
	r, s := v.report, v.state
	if s.position < r.Last {
		v.find(s.position+1, r.Last, "%s: missing from the log", span(s.position+1, r.Last))
	}
	if begins := max(s.first, 1); r.First > begins && r.Base+1 > begins {
		v.find(begins, r.Base, "%s: removed, but the log doesn't say that it was trimmed there", span(begins, r.Base))
	}
	for position, points := range v.points { // what was reached isn't there any more
		for _, p := range points {
			switch {
			case position <= r.Last: // before the base
			case p.problem != "":
				v.find(position, position, "%s", p.problem)
			default:
				v.find(r.Last+1, position, "%s: cut off the end of the log: %s knew them; what is behind %s nobody vouches for", span(r.Last+1, position), p.what, v.what)
			}
		}
	}
	slices.SortFunc(r.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To), strings.Compare(a.Text, b.Text))
	})
	r.Chain, r.Chained, r.Time, r.Voids = s.chain, s.chained, s.time, s.voids
}
