package projections_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/memory"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

var signer = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))

func public(key ed25519.PrivateKey) ed25519.PublicKey { return key.Public().(ed25519.PublicKey) }

// signedStory is a log of 500 events with signed checkpoints at 100, 200, … 500.
func signedStory(t *testing.T) (*memory.Bus, *projections.Projection) {
	t.Helper()
	b := newLog()
	s := newStory(t, 11, b.Log(), nil)
	var p *projections.Projection
	for range 5 {
		p = projections.New(b.Log(), quiet(), projections.Signer(signer), projections.WithCheckpoints(projections.Checkpoints{Blobs: b.Blobs(), Keep: 9}))
		s.live = p
		must(t, p.Restore(t.Context(), b.Blobs()))
		stop := run(t, p)
		for range 100 {
			s.step()
			must(t, p.WaitFor(t.Context(), uint64(s.n)))
		}
		stop() // writes a checkpoint
	}
	return b, p
}

// changed is a log of which somebody changed what is stored.
type changed struct {
	bus.Log
	last   uint64 // 0: as it is
	change func(e *events.Event) *events.Event
}

func (c changed) Range(ctx context.Context) (uint64, uint64, error) {
	first, last, err := c.Log.Range(ctx)
	if c.last > 0 {
		last = c.last
	}
	return first, last, err
}

func (c changed) Read(ctx context.Context, from uint64, filters ...string) iter.Seq2[*events.Event, error] {
	return func(yield func(*events.Event, error) bool) {
		for e, err := range c.Log.Read(ctx, from, filters...) {
			if err == nil {
				copied := *e
				if e = c.change(&copied); e == nil {
					continue
				}
				if c.last > 0 && e.Sequence > c.last {
					return
				}
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

func same(e *events.Event) *events.Event { return e }

func TestVerifyPassesAnUntouchedLog(t *testing.T) {
	b, p := signedStory(t)
	live := p.Snapshot()
	report, err := projections.Verify(t.Context(), b.Log(), b.Blobs(), public(signer), projections.VerifyOptions{
		Live: liveOf(t, live), Anchors: []projections.Anchor{
			projections.NewAnchor(live.Position(), live.Chain(), began, signer),
			projections.NewAnchor(50, chainAt(t, p, 50), began, signer),
		},
	})
	must(t, err)
	if !report.OK() || report.Checkpoints != 5 || report.Unsigned != 0 || report.Anchors != 2 || !report.Live || report.Chain != live.Chain() || report.Voids != live.Voids() {
		t.Errorf("%+v", report)
	}
}

func liveOf(t *testing.T, s *projections.Snapshot) *projections.Live {
	t.Helper()
	live, err := s.Live()
	must(t, err)
	return live
}

func chainAt(t *testing.T, p *projections.Projection, position uint64) events.Chain {
	s, err := p.At(t.Context(), position)
	must(t, err)
	return s.Chain()
}

// The chain is the same folded from the beginning, from a checkpoint and live.
func TestChainIsTheSameHoweverFolded(t *testing.T) {
	b, p := signedStory(t)
	fresh := projections.New(b.Log(), quiet())
	run(t, fresh)
	must(t, fresh.WaitFor(t.Context(), 500))
	var chain events.Chain
	for e, err := range b.Log().Read(t.Context(), 1) {
		must(t, err)
		chain = chain.Next(e.Digest())
		switch e.Sequence {
		case 100, 250, 500:
			if got := chainAt(t, p, e.Sequence); got != chain {
				t.Errorf("at %d: restored and live %s, want %s", e.Sequence, got, chain)
			}
			if got := chainAt(t, fresh, e.Sequence); got != chain {
				t.Errorf("at %d: from the beginning %s, want %s", e.Sequence, got, chain)
			}
		}
	}
}

func TestVerifyLocatesWhatWasDoneToTheLog(t *testing.T) {
	b, p := signedStory(t)
	anchor := projections.NewAnchor(500, p.Snapshot().Chain(), began, signer)
	middle := projections.NewAnchor(250, chainAt(t, p, 250), began, signer)
	var held *events.Event
	for name, c := range map[string]struct {
		log     changed
		anchors []projections.Anchor
		want    [][2]uint64
	}{
		"changed data": {changed{Log: b.Log(), change: func(e *events.Event) *events.Event {
			if e.Sequence == 230 {
				e.Data = append(bytes.Clone(e.Data), ' ')
			}
			return e
		}}, nil, [][2]uint64{{201, 300}}},
		"changed actor, an anchor near": {changed{Log: b.Log(), change: func(e *events.Event) *events.Event {
			if e.Sequence == 230 {
				e.Actor = "somebody-else"
			}
			return e
		}}, []projections.Anchor{middle}, [][2]uint64{{201, 250}}},
		"in two places": {changed{Log: b.Log(), change: func(e *events.Event) *events.Event {
			if e.Sequence == 50 || e.Sequence == 450 {
				e.Note += "."
			}
			return e
		}}, nil, [][2]uint64{{1, 100}, {401, 500}}},
		"removed": {changed{Log: b.Log(), change: func(e *events.Event) *events.Event {
			if e.Sequence == 333 || e.Sequence == 334 {
				return nil
			}
			return e
		}}, nil, [][2]uint64{{301, 400}, {333, 334}}},
		"removed, and the rest moved up": {changed{Log: b.Log(), last: 499, change: func(e *events.Event) *events.Event {
			if e.Sequence == 480 {
				return nil
			}
			if e.Sequence > 480 {
				e.Sequence--
			}
			return e
		}}, nil, [][2]uint64{{500, 500}}},
		"swapped": {changed{Log: b.Log(), change: func(e *events.Event) *events.Event {
			switch e.Sequence {
			case 120:
				held = e
				return nil
			case 121:
				e.Sequence = 120
			}
			return e
		}}, nil, [][2]uint64{{101, 200}, {121, 121}}},
		"cut off": {changed{Log: b.Log(), last: 490, change: same}, []projections.Anchor{anchor}, [][2]uint64{{491, 500}, {491, 500}}},
	} {
		t.Run(name, func(t *testing.T) {
			report, err := projections.Verify(t.Context(), c.log, b.Blobs(), public(signer), projections.VerifyOptions{Anchors: c.anchors})
			must(t, err)
			var got [][2]uint64
			for _, f := range report.Findings {
				got = append(got, [2]uint64{f.From, f.To})
			}
			if len(got) != len(c.want) {
				t.Fatalf("%v\nwant %v", report.Findings, c.want)
			}
			for i := range got {
				if got[i] != c.want[i] {
					t.Errorf("%v\nwant %v", report.Findings, c.want)
				}
			}
		})
	}
	if held == nil {
		t.Error("nothing was swapped")
	}
}

func TestVerifyFindsChangedCheckpoints(t *testing.T) {
	other := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{8}, ed25519.SeedSize))
	name := "checkpoint/00000000000000000300"
	for what, c := range map[string]struct {
		damage func(t *testing.T, b *memory.Bus)
		text   string
	}{
		"damaged": {func(t *testing.T, b *memory.Bus) {
			rewriteBlob(t, b.Blobs(), name, func(data []byte) []byte { data[len(data)/2] ^= 1; return data })
		}, "can't be read"},
		"another state": {func(t *testing.T, b *memory.Bus) {
			rewriteState(t, b.Blobs(), name, func(state []byte) []byte {
				return bytes.Replace(state, []byte("registry.example"), []byte("registry.invalid"), 1)
			})
		}, "changed after it was sealed"},
		"without its signature": {func(t *testing.T, b *memory.Bus) {
			rewriteState(t, b.Blobs(), name, func(state []byte) []byte {
				i := bytes.LastIndex(state, []byte("END\n{"))
				var seal map[string]any
				must(t, json.Unmarshal(state[i+4:], &seal))
				delete(seal, "signature")
				data, err := json.Marshal(seal)
				must(t, err)
				return append(state[:i+4], data...)
			})
		}, "isn't signed"},
		"by another key": {func(t *testing.T, b *memory.Bus) {
			must(t, b.Blobs().Delete(t.Context(), "checkpoint/00000000000000000500"))
			must(t, b.Blobs().Delete(t.Context(), "checkpoint/00000000000000000400"))
			must(t, b.Blobs().Delete(t.Context(), name))
			p := projections.New(b.Log(), quiet(), projections.Signer(other), projections.WithCheckpoints(projections.Checkpoints{Blobs: b.Blobs(), Keep: 9}))
			stop := run(t, p)
			must(t, p.WaitFor(t.Context(), 500))
			stop()
		}, "isn't signed by this cluster's key"},
	} {
		t.Run(what, func(t *testing.T) {
			b, _ := signedStory(t)
			c.damage(t, b)
			report, err := projections.Verify(t.Context(), b.Log(), b.Blobs(), public(signer), projections.VerifyOptions{})
			must(t, err)
			if len(report.Findings) != 1 || !strings.Contains(report.Findings[0].Text, c.text) {
				t.Errorf("%v", report.Findings)
			}
		})
	}
}

// rewriteBlob replaces a blob.
func rewriteBlob(t *testing.T, blobs bus.Blobs, name string, f func([]byte) []byte) {
	t.Helper()
	r, err := blobs.Get(t.Context(), name)
	must(t, err)
	data, err := io.ReadAll(r)
	must(t, err)
	must(t, blobs.Put(t.Context(), name, bytes.NewReader(f(bytes.Clone(data)))))
}

// rewriteState replaces what a checkpoint says, its own checksum included.
func rewriteState(t *testing.T, blobs bus.Blobs, name string, f func([]byte) []byte) {
	t.Helper()
	rewriteBlob(t, blobs, name, func(data []byte) []byte {
		d, err := zstd.NewReader(nil)
		must(t, err)
		state, err := d.DecodeAll(data, nil)
		must(t, err)
		e, err := zstd.NewWriter(nil)
		must(t, err)
		return e.EncodeAll(f(state), nil)
	})
}

// A trimmed log is verified from its base checkpoint on; events that went
// without the log saying so are named.
func TestVerifyATrimmedLog(t *testing.T) {
	b, _ := signedStory(t)
	p := projections.New(b.Log(), quiet(), projections.Signer(signer), projections.WithCheckpoints(projections.Checkpoints{Blobs: b.Blobs(), Keep: 9}))
	must(t, p.Restore(t.Context(), b.Blobs()))
	run(t, p)
	_, err := p.Trim(t.Context(), 250, "test")
	must(t, err)
	report, err := projections.Verify(t.Context(), b.Log(), b.Blobs(), public(signer), projections.VerifyOptions{Live: liveOf(t, p.Snapshot())})
	must(t, err)
	if !report.OK() || report.Base != 200 || !report.Live || report.Checkpoints != 4 {
		t.Errorf("%+v", report)
	}
	must(t, b.Log().Trim(t.Context(), 301))
	report, err = projections.Verify(t.Context(), b.Log(), b.Blobs(), public(signer), projections.VerifyOptions{})
	must(t, err)
	if len(report.Findings) != 1 || report.Findings[0].From != 201 || report.Findings[0].To != 300 {
		t.Errorf("%+v", report)
	}
}

func TestAnchorsAreLines(t *testing.T) {
	a := projections.NewAnchor(7, events.Chain{1, 2, 3}, began, signer)
	line, err := json.Marshal(a)
	must(t, err)
	got, err := projections.ReadAnchors(strings.NewReader(string(line) + "\n\n" + string(line) + "\n"))
	must(t, err)
	if len(got) != 2 || got[1].Chain != a.Chain || !bytes.Equal(got[0].Signature, a.Signature) || !got[0].Time.Equal(a.Time) {
		t.Errorf("%+v", got)
	}
	if _, err := projections.ReadAnchors(strings.NewReader("{}\n{\"chain\":\"xy\"}")); !errors.Is(err, events.ErrInvalid) || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("%v", err)
	}
	b, p := signedStory(t)
	forged := projections.NewAnchor(500, p.Snapshot().Chain(), began, ed25519.NewKeyFromSeed(make([]byte, 32)))
	report, err := projections.Verify(t.Context(), b.Log(), b.Blobs(), public(signer), projections.VerifyOptions{Anchors: []projections.Anchor{forged}})
	must(t, err)
	if len(report.Findings) != 1 || !strings.Contains(report.Findings[0].Text, "isn't signed by this cluster's key") {
		t.Errorf("%+v", report)
	}
}

// A projection that went wrong in memory is found by asking it.
func TestVerifyFindsAWrongStateInMemory(t *testing.T) {
	b, p := signedStory(t)
	_, err := projections.AskLive(t.Context(), b)
	if !errors.Is(err, events.ErrUnavailable) {
		t.Errorf("nobody serves it: %v", err)
	}
	must(t, p.ServeLive(t.Context(), b))
	verify := func() *projections.Report {
		live, err := projections.AskLive(t.Context(), b)
		must(t, err)
		report, err := projections.Verify(t.Context(), b.Log(), b.Blobs(), public(signer), projections.VerifyOptions{Live: live})
		must(t, err)
		return report
	}
	if report := verify(); !report.OK() || !report.Live {
		t.Errorf("%+v", report)
	}
	for group, resource := range p.Snapshot().Resources() {
		for o := range p.Snapshot().List(group, resource, "") {
			o.Meta().SetGenerateName("bit-flip-")
			break
		}
	}
	report := verify()
	if report.Live || len(report.Findings) != 1 || report.Findings[0].From != 500 || !strings.Contains(report.Findings[0].Text, "the live state holds another state than the log gives") {
		t.Errorf("%+v", report)
	}
}
