package main

import (
	"bytes"
	"crypto/ed25519"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

func TestAnchorsAreAddedToAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "anchors")
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	for n := range uint64(2) {
		if err := appendAnchor(path, projections.NewAnchor(n+1, events.Chain{byte(n)}, time.Unix(1e9, 0), key)); err != nil {
			t.Fatal(err)
		}
	}
	got, err := readAnchors(path)
	if err != nil || len(got) != 2 || got[1].Position != 2 || got[1].Chain != (events.Chain{1}) {
		t.Errorf("%+v %v", got, err)
	}
	if _, err := readAnchors(path + "x"); err == nil {
		t.Error("a file that isn't there")
	}
}

func TestTheReportSaysWhatIsWrong(t *testing.T) {
	var out bytes.Buffer
	r := &projections.Report{First: 1, Last: 500, Checkpoints: 4, Findings: []projections.Finding{{From: 201, To: 300, Text: "events 201 to 300: changed"}}}
	printReport(&out, r)
	if text := out.String(); !strings.Contains(text, "WRONG        events 201 to 300: changed") || strings.Contains(text, "all is well") {
		t.Errorf("%s", text)
	}
	out.Reset()
	r.Findings, r.Base, r.First = nil, 200, 201
	if printReport(&out, r); !strings.Contains(out.String(), "300 events, 201 to 500, from the checkpoint at 200") || !strings.Contains(out.String(), "all is well") {
		t.Errorf("%s", out.String())
	}
}
