package controllertest

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/tools/txtar"

	"github.com/reckon-project/reckon/events"
)

var update = flag.Bool("update", false, "write the transcripts under testdata anew")

// Transcript collects what happened in a world, step by step, and compares it
// with testdata/<test>.txt (-update writes that).
type Transcript struct {
	w       *World
	name    string
	from    uint64
	archive txtar.Archive
	// Keep says which events are written down (nil: all but facts and elections).
	Keep func(*events.Event) bool
}

// NewTranscript begins a transcript; name is its file under testdata.
func NewTranscript(w *World, name string) *Transcript {
	return &Transcript{w: w, name: name, from: 1}
}

// Step settles the world and writes down the events since the last step.
func (t *Transcript) Step(format string, args ...any) {
	t.w.t.Helper()
	t.w.Settle()
	var b bytes.Buffer
	for e, err := range t.w.Bus.Log().Read(context.Background(), t.from) {
		if err != nil {
			t.w.t.Fatal(err)
		}
		t.from = e.Sequence + 1
		keep := e.Prefix != events.PrefixFact && e.Type != events.Elected
		if t.Keep != nil {
			keep = t.Keep(e)
		}
		if keep {
			fmt.Fprintln(&b, line(e))
		}
	}
	t.archive.Files = append(t.archive.Files, txtar.File{Name: fmt.Sprintf(format, args...), Data: b.Bytes()})
}

// Say writes lines of the test's own into the transcript.
func (t *Transcript) Say(name, text string) {
	t.archive.Files = append(t.archive.Files, txtar.File{Name: name, Data: []byte(strings.TrimRight(text, "\n") + "\n")})
}

func line(e *events.Event) string {
	actor := e.Actor
	if i := strings.LastIndexByte(actor, ':'); i >= 0 {
		actor = actor[i+1:]
	}
	if actor == "" {
		actor = e.Source
	}
	s := fmt.Sprintf("%s %s by %s", e.Key, e.Type, actor)
	if e.Reason != "" {
		s += fmt.Sprintf(" [%s: %s]", e.Reason, e.Note)
	}
	return s
}

// Done compares the transcript with the file.
func (t *Transcript) Done() {
	t.w.t.Helper()
	file := filepath.Join("testdata", t.name+".txt")
	got := txtar.Format(&t.archive)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.w.t.Fatal(err)
		}
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.w.t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.w.t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.w.t.Errorf("%s differs (go test -update writes it anew); it is now:\n%s", file, got)
	}
}
