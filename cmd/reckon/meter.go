package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"
)

// meter shows on a terminal how far a long run through the log has come. Where
// nobody looks it is silent.
type meter struct {
	w        io.Writer
	doing    string
	from, to uint64
	shown    time.Time
}

func newMeter(w io.Writer, doing string, from, to uint64) *meter {
	m := &meter{doing: doing, from: from, to: to}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		m.w = w
	}
	return m
}

// reached tells of a position.
func (m *meter) reached(position uint64) {
	now := time.Now()
	if m.w == nil || now.Sub(m.shown) < 200*time.Millisecond || m.to <= m.from {
		return
	}
	m.shown = now
	fmt.Fprintf(m.w, "\r%s: %d of %d events (%d %%) ", m.doing, position-m.from, m.to-m.from, 100*(position-m.from)/(m.to-m.from))
}

// end clears the line.
func (m *meter) end() {
	if m.w != nil && !m.shown.IsZero() {
		fmt.Fprint(m.w, "\r\033[K")
	}
}
