package logger

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// serve runs a logger in this process and gives its client.
func serve(t *testing.T) *Client {
	t.Helper()
	dir, err := os.MkdirTemp("", "lg") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "s")
	ended := make(chan error, 1)
	go func() { ended <- Serve(path) }()
	c := NewClient(path, "", nil)
	t.Cleanup(func() {
		if err := c.Quit(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	ticker := time.NewTicker(askEvery)
	defer ticker.Stop()
	for {
		if conn, err := c.dial(t.Context()); err == nil {
			conn.Close()
			return c
		}
		<-ticker.C
	}
}

// newFifo makes a fifo.
func newFifo(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// end opens one end of a fifo, as a shim does: it waits for the other.
func end(t *testing.T, path string, flag int) *os.File {
	t.Helper()
	f, err := os.OpenFile(path, flag, 0)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// text gives a log's lines without their times.
func text(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for line := range strings.Lines(string(data)) {
		_, rest, _ := strings.Cut(line, " ")
		out.WriteString(rest)
	}
	return out.String()
}

func TestLinesOfBothStreams(t *testing.T) {
	c := serve(t)
	outPath, errPath := newFifo(t), newFifo(t)
	log := filepath.Join(t.TempDir(), "log")
	for range 2 { // a second time changes nothing
		if err := c.Open(t.Context(), Open{ID: "a", Stdout: outPath, Stderr: errPath, Log: log}); err != nil {
			t.Fatal(err)
		}
	}
	out, errs := end(t, outPath, os.O_WRONLY), end(t, errPath, os.O_WRONLY)
	long := strings.Repeat("x", longestLine+5)
	if _, err := out.WriteString("one\n" + long + "\nunfinished"); err != nil {
		t.Fatal(err)
	}
	out.Close()
	errs.Close()
	if err := c.Drain(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	want := "stdout F one\nstdout P " + long[:longestLine] + "\nstdout F xxxxx\nstdout P unfinished\n"
	if got := text(t, log); got != want {
		t.Errorf("the log is %q", got)
	}
	if err := c.Forget(t.Context(), "a"); err != nil {
		t.Error(err)
	}
	if err := c.Drain(t.Context(), "a"); err != nil {
		t.Errorf("what is forgotten: %v", err)
	}
}

func TestWhatNobodyWritesToIsForgotten(t *testing.T) {
	c := serve(t)
	path := newFifo(t)
	if err := c.Open(t.Context(), Open{ID: "a", Stdout: path, Log: filepath.Join(t.TempDir(), "log")}); err != nil {
		t.Fatal(err)
	}
	if err := c.Forget(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if err := c.Open(t.Context(), Open{ID: "b", Stdout: filepath.Join(t.TempDir(), "absent")}); err == nil {
		t.Error("a fifo that isn't there gives no error")
	}
}

func TestAttach(t *testing.T) {
	c := serve(t)
	inPath, outPath := newFifo(t), newFifo(t)
	if err := c.Open(t.Context(), Open{ID: "a", Stdin: inPath, Stdout: outPath}); err != nil {
		t.Fatal(err)
	}
	in, out := end(t, inPath, os.O_RDONLY), end(t, outPath, os.O_WRONLY)
	read, write := io.Pipe()
	var seen bytes.Buffer
	done, over := make(chan error, 1), make(chan struct{})
	go func() { done <- c.Attach(t.Context(), "a", read, &seen, nil, func() { close(over) }) }()
	if _, err := write.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 5)
	if _, err := io.ReadFull(in, got); err != nil || string(got) != "hello" {
		t.Errorf("the container reads %q, %v", got, err)
	}
	write.Close()
	<-over
	if _, err := out.WriteString("bye"); err != nil { // no newline: it is shown at once
		t.Fatal(err)
	}
	out.Close()
	if err := c.Drain(t.Context(), "a"); err != nil { // nobody else will write
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if seen.String() != "bye" {
		t.Errorf("it said %q", seen.String())
	}
	in.Close()
}

// However slowly a container reads, it reads all before its input ends.
func TestAttachedInputIsWhole(t *testing.T) {
	c := serve(t)
	inPath, outPath := newFifo(t), newFifo(t)
	if err := c.Open(t.Context(), Open{ID: "a", Stdin: inPath, Stdout: outPath}); err != nil {
		t.Fatal(err)
	}
	in, out := end(t, inPath, os.O_RDONLY), end(t, outPath, os.O_WRONLY)
	const size = 60 << 10
	if _, err := unix.FcntlInt(in.Fd(), unix.F_SETPIPE_SZ, 4<<10); err != nil { // room for much less
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		done <- c.Attach(t.Context(), "a", strings.NewReader(strings.Repeat("x", size)), io.Discard, nil, func() {
			if err := c.CloseStdin(t.Context(), "a"); err != nil {
				t.Error(err)
			}
		})
	}()
	got, buffer := 0, make([]byte, 512)
	for {
		n, err := in.Read(buffer)
		got += n
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if got != size {
		t.Errorf("it read %d bytes", got)
	}
	out.Close()
	in.Close()
	if err := c.Drain(t.Context(), "a"); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}
