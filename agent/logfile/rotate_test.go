package logfile_test

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/reckon-project/reckon/agent/logfile"
)

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// contents gives all files of a log, by their names' ends.
func contents(t *testing.T, path string) string {
	t.Helper()
	found, err := filepath.Glob(path + "*")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, file := range found {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		var r io.Reader = f
		if strings.HasSuffix(file, ".gz") {
			if r, err = gzip.NewReader(f); err != nil {
				t.Fatal(err)
			}
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		out = append(out, fmt.Sprintf("%s=%s", strings.TrimPrefix(file, path), data))
	}
	return strings.Join(out, " ")
}

func TestRotation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "0.log")
	reopen := func() error { put(t, path, ""); return nil }
	// Somebody was killed after the log was put aside and before its writer was told.
	if due, err := logfile.Due(path, 3, reopen); due || err != nil || contents(t, path) != "=" {
		t.Errorf("a log that isn't there: %v, %v, %s", due, err, contents(t, path))
	}
	at := time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC)
	for i := range 5 {
		put(t, path, fmt.Sprintf("part%d", i))
		if due, err := logfile.Due(path, 3, nil); !due || err != nil {
			t.Errorf("a large log: %v, %v", due, err)
		}
		if err := logfile.Rotate(path, 4, at.Add(time.Duration(i)*time.Second), reopen); err != nil {
			t.Fatal(err)
		}
	}
	want := "= .20260102-030402.gz=part2 .20260102-030403.gz=part3 .20260102-030404=part4"
	if got := contents(t, path); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestRotationThatFailsLosesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "0.log")
	at := time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC)
	put(t, path, "now")
	put(t, path+".20260102-030300", "before")
	put(t, path+".20260102-030200", "twice")
	put(t, path+".20260102-030200.gz.tmp", "torn")
	broken := errors.New("no answer")
	if err := logfile.Rotate(path, 5, at, func() error { return broken }); !errors.Is(err, broken) {
		t.Errorf("it says %v", err)
	}
	want := "=now .20260102-030200.gz=twice .20260102-030300.gz=before"
	if got := contents(t, path); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
