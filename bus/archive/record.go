package archive

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
)

// A record is one event in a frame's content:
//
//	kind (a byte), sequence, stored time (ns), subject, headers, data
//
// Numbers are varints; sequence and time are differences to the record before;
// texts have their length before them. Headers are sorted, so the same events
// always give the same bytes.
const (
	recordEvent  = 0 // subject, headers and data are those of the message
	recordBroken = 1 // data is what the log made of a message that isn't an event
)

// broken is how a message that isn't an event is kept: what a reader of the log
// got for it.
type broken struct {
	Prefix   string     `json:"prefix,omitempty"`
	Reporter string     `json:"reporter,omitempty"`
	Key      events.Key `json:"key"`
	ID       string     `json:"id,omitempty"`
	Note     string     `json:"note,omitempty"`
	Data     []byte     `json:"data,omitempty"`
}

// place is where the record before stands.
type place struct {
	sequence uint64
	stored   int64
}

func appendRecord(b []byte, before *place, e *events.Event) ([]byte, error) {
	kind, header, data := byte(recordEvent), e.Header(), e.Data
	if e.Type == "" {
		var err error
		kind, header = recordBroken, nil
		if data, err = json.Marshal(broken{e.Prefix, e.Reporter, e.Key, e.ID, e.Note, e.Data}); err != nil {
			return nil, err
		}
	}
	if e.Sequence <= before.sequence {
		return nil, fmt.Errorf("%w: event %d comes after event %d", events.ErrInvalid, e.Sequence, before.sequence)
	}
	b = append(b, kind)
	b = binary.AppendUvarint(b, e.Sequence-before.sequence)
	b = binary.AppendVarint(b, e.Stored.UnixNano()-before.stored)
	b = appendText(b, e.Subject())
	b = binary.AppendUvarint(b, uint64(len(header)))
	names := make([]string, 0, len(header))
	for name := range header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		b = appendText(b, name)
		b = appendText(b, header[name][0]) // Header gives one value each
	}
	b = binary.AppendUvarint(b, uint64(len(data)))
	b = append(b, data...)
	before.sequence, before.stored = e.Sequence, e.Stored.UnixNano()
	return b, nil
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

var errRecord = errors.New("a record is cut off or malformed")

// records reads the records of a frame's content one after another.
type records struct {
	content []byte
	before  place
	lines   events.Lines
}

// next gives the next event, nil if it isn't wanted: not within from and to,
// or matched by no filter.
func (r *records) next(from, to uint64, filters []string) (*events.Event, error) {
	c := cursor{r.content}
	kind := c.byte()
	sequence := r.before.sequence + c.uvarint()
	stored := r.before.stored + c.varint()
	subject := c.text()
	if c.b == nil || sequence <= r.before.sequence || kind > recordBroken {
		return nil, errRecord
	}
	r.before = place{sequence, stored}
	wanted := sequence >= from && sequence <= to && bus.MatchAny(filters, string(subject))
	n := c.uvarint()
	r.lines.Reset()
	for range n {
		name, value := c.text(), c.text()
		if c.b == nil {
			return nil, errRecord
		}
		if wanted {
			r.lines.Add(string(name), string(value))
		}
	}
	data := c.text()
	if c.b == nil {
		return nil, errRecord
	}
	r.content = c.b
	if !wanted {
		return nil, nil
	}
	data = slices.Clone(data) // a reader may keep one event: not the whole frame with it
	if len(data) == 0 {
		data = nil
	}
	var e *events.Event
	if kind == recordBroken {
		var x broken
		if err := json.Unmarshal(data, &x); err != nil {
			return nil, errRecord
		}
		e = &events.Event{Prefix: x.Prefix, Reporter: x.Reporter, Key: x.Key, ID: x.ID, Note: x.Note, Data: x.Data}
	} else {
		var err error
		if e, err = r.lines.Parse(string(subject), data); err != nil {
			return nil, fmt.Errorf("event %d: %w", sequence, err)
		}
	}
	e.Sequence, e.Stored = sequence, time.Unix(0, stored).UTC()
	return e, nil
}

// cursor reads a record; b is nil once something was wrong.
type cursor struct{ b []byte }

func (c *cursor) byte() byte {
	if len(c.b) == 0 {
		c.b = nil
		return 0
	}
	v := c.b[0]
	c.b = c.b[1:]
	return v
}

func (c *cursor) uvarint() uint64 {
	v, n := binary.Uvarint(c.b)
	return c.took(v, n)
}

func (c *cursor) varint() int64 {
	v, n := binary.Varint(c.b)
	return int64(c.took(uint64(v), n))
}

func (c *cursor) took(v uint64, n int) uint64 {
	if n <= 0 {
		c.b = nil
		return 0
	}
	c.b = c.b[n:]
	return v
}

func (c *cursor) text() []byte {
	n := c.uvarint()
	if c.b == nil || n > uint64(len(c.b)) {
		c.b = nil
		return nil
	}
	v := c.b[:n]
	c.b = c.b[n:]
	return v
}
