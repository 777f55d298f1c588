package history

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"
)

// Style says how answers are written for people.
type Style struct {
	Color    bool
	All      bool // bookkeeping and long chains too
	Status   bool // of a Difference: objects too of which nothing but the status differs
	Location *time.Location
}

// The colours, as the terminal's eight: they fit light and dark ones.
const (
	plain  = ""
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
)

// page collects text in a style, and writes it at once.
type page struct {
	Style
	bytes.Buffer
}

func (p *page) in(color, text string) string {
	if !p.Color || color == plain || text == "" {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
}

// line writes a line without blanks at its end.
func (p *page) line(format string, args ...any) {
	p.WriteString(strings.TrimRight(fmt.Sprintf(format, args...), " "))
	p.WriteByte('\n')
}

func (p *page) to(w io.Writer) error {
	_, err := w.Write(p.Bytes())
	return err
}

func (p *page) clock(t time.Time) string { return t.In(p.Location).Format("15:04:05.000") }

func (p *page) day(t time.Time) string { return t.In(p.Location).Format("Monday, 2 January 2006") }

// moment is a time with its day.
func (p *page) moment(t time.Time) string { return t.In(p.Location).Format("2006-01-02 15:04:05") }

// pad fills a text up with blanks, so that colours don't count.
func pad(text string, width int) string {
	if n := len([]rune(text)); n < width {
		return text + strings.Repeat(" ", width-n)
	}
	return text
}

// days writes a line for each new day.
type days struct{ last string }

func (d *days) begin(p *page, t time.Time) {
	if day := p.day(t); day != d.last {
		d.last = day
		p.line("%s", p.in(dim, day))
	}
}

// field writes one difference.
func (p *page) field(indent string, f Field) {
	sign, color := "~", yellow
	switch f.Op {
	case Added:
		sign, color = "+", green
	case Removed:
		sign, color = "-", red
	}
	var value string
	switch {
	case f.Secret:
		value = p.in(dim, "(hidden)")
	case f.Op == Added:
		value = p.in(green, Show(f.New))
	case f.Op == Removed:
		value = p.in(red, Show(f.Old))
	default:
		value = p.in(red, Show(f.Old)) + p.in(dim, " → ") + p.in(green, Show(f.New))
	}
	p.line("%s%s %s: %s", indent, p.in(color, sign), f.Path, value)
}

// fields writes differences, without the noise unless all is asked for, and
// tells how many there were.
func (p *page) fields(indent string, fields []Field) int {
	n := 0
	for _, f := range fields {
		if !f.Noise || p.All {
			p.field(indent, f)
			n++
		}
	}
	return n
}
