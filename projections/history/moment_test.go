package history

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/memory"
	"github.com/reckon-project/reckon/events"
)

func TestParseMoment(t *testing.T) {
	now := time.Date(2026, 11, 21, 18, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) Moment { return Moment{Time: now.Add(-d)} }
	for text, want := range map[string]Moment{
		"now":                       {},
		"1":                         {Sequence: 1},
		"12345":                     {Sequence: 12345},
		"10m":                       ago(10 * time.Minute),
		"2h30m":                     ago(150 * time.Minute),
		"90s":                       ago(90 * time.Second),
		"3d":                        ago(72 * time.Hour),
		"1w2d12h":                   ago(9*24*time.Hour + 12*time.Hour),
		"0s":                        ago(0),
		"2026-11-20T10:00:00Z":      {Time: time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)},
		"2026-11-20T10:00:00.25Z":   {Time: time.Date(2026, 11, 20, 10, 0, 0, 250e6, time.UTC)},
		"2026-11-20T10:00:00+02:00": {Time: time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)},
	} {
		got, err := ParseMoment(text, now)
		if err != nil || got.Text != text || got.Sequence != want.Sequence || !got.Time.Equal(want.Time) {
			t.Errorf("ParseMoment(%q) = %+v, %v, want %+v", text, got, err, want)
		}
		if got.Now() != (text == "now") {
			t.Errorf("ParseMoment(%q).Now() = %v", text, got.Now())
		}
	}
	for _, text := range []string{"", "0", "-5", "-10m", "+10m", "ten", "3d-2h", "d", "2d3w", "2026-11-20", "2026-11-20 10:00:00", "99999999999999999999", "3000000h1d", "2027-01-01T00:00:00Z"} {
		if got, err := ParseMoment(text, now); !errors.Is(err, events.ErrInvalid) {
			t.Errorf("ParseMoment(%q) = %+v, %v, want an error of class ErrInvalid", text, got, err)
		}
	}
}

func TestPosition(t *testing.T) {
	ctx := context.Background()
	begin := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	clock := begin
	log := memory.New(func() time.Time { return clock }).Log()
	position := func(text string) (uint64, error) {
		t.Helper()
		m, err := ParseMoment(text, clock)
		if err != nil {
			t.Fatal(err)
		}
		return m.Position(ctx, log)
	}
	for i := range 60 { // one event a minute, the first at 12:00
		clock = begin.Add(time.Duration(i) * time.Minute)
		if _, err := log.Append(ctx, bus.Entry{Event: &events.Event{
			Prefix: events.PrefixDecision, Key: events.Key{Resource: "nodes", Name: fmt.Sprint("n", i)},
			ID: fmt.Sprint("e", i), Source: "test", Type: events.Created, Time: clock,
			ContentType: events.ContentObject, Data: []byte("{}"),
		}}); err != nil {
			t.Fatal(err)
		}
	}
	for text, want := range map[string]uint64{
		"now": 60, "1": 1, "60": 60, "0s": 60, "30s": 59, "10m": 50, "59m": 1, "2026-11-21T12:10:30Z": 11,
	} {
		if got, err := position(text); err != nil || got != want {
			t.Errorf("position of %s = %d, %v, want %d", text, got, err, want)
		}
	}
	refused := func(text string, class error, says string) {
		t.Helper()
		_, err := position(text)
		if !errors.Is(err, class) || !strings.Contains(err.Error(), says) {
			t.Errorf("position of %s: %v, want %v saying %q", text, err, class, says)
		}
	}
	refused("61", events.ErrInvalid, "the log ends at 60")
	refused("1d", events.ErrGone, "begins at 2026-11-21T12:00:00Z (sequence 1)")
	beginning := func(text string) (uint64, error) {
		m, err := ParseMoment(text, clock)
		if err != nil {
			t.Fatal(err)
		}
		return m.Beginning(ctx, log)
	}
	for text, want := range map[string]uint64{"1d": 0, "10m": 50, "7": 7} {
		if got, err := beginning(text); err != nil || got != want {
			t.Errorf("a stretch from %s begins after %d, %v, want %d", text, got, err, want)
		}
	}
	if err := log.Trim(ctx, 31); err != nil {
		t.Fatal(err)
	}
	if _, err := beginning("1d"); !errors.Is(err, events.ErrGone) {
		t.Errorf("a stretch from before a trimmed log: %v", err)
	}
	refused("40m", events.ErrGone, "begins at 2026-11-21T12:30:00Z (sequence 31)")
	refused("29", events.ErrGone, "(sequence 31)")
	if got, err := position("30"); err != nil || got != 30 {
		t.Errorf("the position that the kept log begins after = %d, %v", got, err)
	}
}
