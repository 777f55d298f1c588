package archive_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os/exec"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/reckon-project/reckon/bus/archive"
	"github.com/reckon-project/reckon/bus/bustest"
	"github.com/reckon-project/reckon/events"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)

// script gives n events as a log has them, from sequence first on: pods that
// are created, decided on and reported about.
func script(first uint64, n int) []*events.Event {
	out := make([]*events.Event, n)
	for i := range out {
		name := fmt.Sprintf("web-%d", i/5)
		e := bustest.Decision(name)
		if i%5 > 1 {
			e = bustest.Fact(fmt.Sprintf("n%d", i%7), name)
		}
		e.ID = fmt.Sprintf("id-%d", first+uint64(i))
		e.Time = epoch.Add(time.Duration(i) * time.Second)
		e.Sequence, e.Stored = first+uint64(i), e.Time.Add(time.Millisecond)
		e.Data = fmt.Appendf(nil, `{"metadata":{"labels":{"n":"%d"}}}`, i)
		out[i] = e
	}
	return out
}

func segment(t testing.TB, list []*events.Event) ([]byte, archive.Manifest) {
	t.Helper()
	var b bytes.Buffer
	w := archive.NewWriter(&b)
	w.Continue(events.Chain{7})
	for _, e := range list {
		if err := w.Add(e); err != nil {
			t.Fatal(err)
		}
	}
	m, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), m
}

// readSegment gives what can be read, and the damage.
func readSegment(data []byte) (list []*events.Event, m archive.Manifest, errs []error) {
	r, err := archive.NewReader(bytes.NewReader(data), "test")
	if err != nil {
		return nil, m, []error{err}
	}
	for slice, err := range r.Frames() {
		if err != nil {
			errs = append(errs, err)
		}
		list = append(list, slice...)
	}
	m, _ = r.Manifest()
	return list, m, errs
}

func TestSegmentComesBackAsItWas(t *testing.T) {
	list := script(41, 3456)
	data, wrote := segment(t, list)
	got, m, errs := readSegment(data)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	if !reflect.DeepEqual(got, list) {
		t.Error("the events differ")
	}
	if !reflect.DeepEqual(m, wrote) || m.First != 41 || m.Last != 41+3455 || m.Count != 3456 || !m.Begin.Equal(list[0].Stored) || !m.End.Equal(list[3455].Stored) {
		t.Errorf("manifest %+v", m)
	}
	chain := events.Chain{7}
	for _, e := range list {
		chain = chain.Next(e.Digest())
	}
	if m.Chain == nil || m.Chain.End != hex.EncodeToString(chain[:]) {
		t.Errorf("the chain is %+v, want it to end with %x", m.Chain, chain)
	}
	again, _ := segment(t, list)
	if !bytes.Equal(again, data) {
		t.Error("the same events gave another file")
	}
	t.Logf("%.1f bytes an event", float64(len(data))/float64(len(list)))
}

func TestSegmentOfAnyEvent(t *testing.T) {
	text := rapid.StringOf(rapid.RuneFrom([]rune("ab. *>%\"\n\x00ü世")))
	rapid.Check(t, func(t *rapid.T) {
		var list []*events.Event
		sequence := rapid.Uint64Range(1, 1<<60).Draw(t, "first")
		for range rapid.IntRange(1, 20).Draw(t, "count") {
			e := &events.Event{
				Sequence: sequence, Stored: time.Unix(0, rapid.Int64Range(-1<<60, 1<<60).Draw(t, "stored")).UTC(),
				Prefix: rapid.SampledFrom([]string{events.PrefixDecision, events.PrefixFact}).Draw(t, "prefix"),
				Key: events.Key{
					Group: text.Draw(t, "group"), Resource: "x" + text.Draw(t, "resource"), Namespace: text.Draw(t, "ns"), Name: "x" + text.Draw(t, "name"),
				},
				ID: text.Draw(t, "id"), Source: text.Draw(t, "source"),
				Time:  time.Unix(rapid.Int64Range(0, 1<<32).Draw(t, "time"), 5).UTC(),
				Actor: text.Draw(t, "actor"), Note: text.Draw(t, "note"), Why: text.Draw(t, "why"), Verb: text.Draw(t, "verb"),
				Cause: rapid.SliceOfN(rapid.Uint64(), 0, 3).Draw(t, "cause"), IfVersion: rapid.Uint64().Draw(t, "if"),
			}
			if len(e.Cause) == 0 {
				e.Cause = nil
			}
			if e.Key.Group == "core" || e.Key.Namespace == "_" {
				continue
			}
			if e.Prefix == events.PrefixFact {
				e.Reporter = "x" + text.Draw(t, "reporter")
			}
			if data := rapid.SliceOf(rapid.Byte()).Draw(t, "data"); len(data) > 0 {
				e.Data = data
			}
			if e.Type = rapid.SampledFrom([]string{"created", ""}).Draw(t, "type"); e.Type == "" {
				// What isn't an event has these alone.
				e = &events.Event{Sequence: e.Sequence, Stored: e.Stored, Prefix: e.Prefix, Reporter: e.Reporter, Key: e.Key, ID: e.ID, Note: e.Note, Data: e.Data}
			}
			list = append(list, e)
			sequence++
		}
		if len(list) == 0 {
			return
		}
		var b bytes.Buffer
		w := archive.NewWriter(&b)
		for _, e := range list {
			if err := w.Add(e); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.Close(); err != nil {
			t.Fatal(err)
		}
		got, _, errs := readSegment(b.Bytes())
		if len(errs) > 0 {
			t.Fatal(errs)
		}
		if !reflect.DeepEqual(got, list) {
			t.Fatalf("got  %+v\nwant %+v", got[0], list[0])
		}
	})
}

func TestSegmentRefusesGapsAndNothing(t *testing.T) {
	list := script(1, 3)
	w := archive.NewWriter(&bytes.Buffer{})
	if err := w.Add(list[0]); err != nil {
		t.Fatal(err)
	}
	if err := w.Add(list[2]); !errors.Is(err, events.ErrInvalid) {
		t.Errorf("a gap: %v", err)
	}
	if _, err := archive.NewWriter(&bytes.Buffer{}).Close(); !errors.Is(err, events.ErrInvalid) {
		t.Errorf("no event: %v", err)
	}
	if _, _, errs := readSegment([]byte("something else")); len(errs) != 1 || !errors.Is(errs[0], events.ErrInvalid) {
		t.Errorf("not a segment: %v", errs)
	}
}

// Every byte of a segment matters, and a change is found in the frame it is in.
func TestSegmentDamageIsNamed(t *testing.T) {
	list := script(1, 3000)
	data, _ := segment(t, list)
	second := bytes.Index(data[100:], []byte{0x51, 0x2A, 0x4D, 0x18}) + 100
	for offset := 0; offset < len(data); offset += 97 {
		broken := bytes.Clone(data)
		broken[offset] ^= 0x40
		got, _, errs := readSegment(broken)
		if len(errs) == 0 {
			t.Fatalf("a change at %d of %d isn't found", offset, len(data))
		}
		for i, e := range got {
			if !reflect.DeepEqual(e, list[e.Sequence-1]) {
				t.Fatalf("a change at %d: event %d of %d differs", offset, i, len(got))
			}
		}
	}
	broken := bytes.Clone(data)
	broken[second+500] ^= 1 // in the second frame's content
	got, _, errs := readSegment(broken)
	d := (*archive.Damaged)(nil)
	if len(errs) != 1 || !errors.As(errs[0], &d) || d.Frame != 1 || d.First != 1001 || d.Last != 2000 || !errors.Is(d, events.ErrGone) {
		t.Fatalf("damage: %v", errs)
	}
	if !strings.Contains(d.Error(), "frame 1 of segment test (events 1001 to 2000) is damaged") {
		t.Error(d)
	}
	if len(got) != 2000 || got[1000].Sequence != 2001 {
		t.Errorf("%d events are readable, want the 2000 of the other frames", len(got))
	}
	for _, cut := range []int{0, 5, 40, second + 10, second + 200, len(data) - 1} {
		if _, _, errs := readSegment(data[:cut]); len(errs) == 0 {
			t.Errorf("a file cut off at %d isn't found", cut)
		}
	}
	if _, _, errs := readSegment(append(bytes.Clone(data), 0)); len(errs) == 0 {
		t.Error("a byte behind the footer isn't found")
	}
}

func TestSegmentIsAZstdFile(t *testing.T) {
	data, m := segment(t, script(1, 2500))
	zstd, err := exec.LookPath("zstd")
	if err != nil {
		// Where the tool isn't, the magic numbers must do.
		if binary.LittleEndian.Uint32(data)&0xFFFFFFF0 != 0x184D2A50 {
			t.Error("it doesn't begin with a skippable frame")
		}
		return
	}
	cmd := exec.Command(zstd, "-dc")
	cmd.Stdin = bytes.NewReader(data)
	out, err := cmd.Output()
	if err != nil || int64(len(out)) != m.Bytes {
		t.Errorf("zstd gives %d bytes (%v), want %d", len(out), err, m.Bytes)
	}
}

func FuzzReader(f *testing.F) {
	for _, n := range []int{1, 3, 1100} {
		data, _ := segment(f, script(7, n))
		f.Add(data)
		f.Add(data[:len(data)/2])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, m, errs := readSegment(data)
		if len(errs) == 0 && (uint64(len(got)) != m.Count || got[0].Sequence != m.First) {
			t.Errorf("%d events, the manifest says %d", len(got), m.Count)
		}
	})
}
