package bus

import (
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/reckon-project/reckon/events"
)

// storedDecoder makes events of stored messages. One is used again and again,
// as most of the work of decoding is to allocate.
type storedDecoder struct {
	header nats.Header
	values []string
	lines  events.Lines
}

func (d *storedDecoder) decode(s Stored) (*events.Event, error) {
	var data []byte
	if len(s.Data) > 0 {
		data = append(data, s.Data...)
	}
	subject := string(s.Subject)
	if d.read(s.Header) {
		if e, err := d.lines.Parse(subject, data); err == nil {
			e.Sequence, e.Stored = s.Sequence, s.Time.UTC()
			return e, nil
		}
	}
	header, err := d.parse(s.Header)
	if err != nil {
		return nil, err
	}
	return decode(subject, header, data, s.Sequence, s.Time)
}

// read takes in the lines of an event's header; false: it is of another form, or
// says more about the message than an event does.
func (d *storedDecoder) read(block []byte) bool {
	first, rest, ok := strings.Cut(string(block), "\r\n")
	if !ok || first != "NATS/1.0" {
		return false
	}
	d.lines.Reset()
	for {
		line, more, ok := strings.Cut(rest, "\r\n")
		if !ok {
			return false
		}
		if line == "" {
			return true
		}
		rest = more
		name, value, ok := strings.Cut(line, ":")
		if !ok || name == markerReason || name == HeaderStored {
			return false
		}
		d.lines.Add(name, strings.TrimLeft(value, " \t"))
	}
}

// parse reads a header's block as NATS' client does, but of a repeated key only
// the first value. What it returns is good until the next call.
func (d *storedDecoder) parse(block []byte) (nats.Header, error) {
	if d.header == nil {
		d.header = nats.Header{}
	}
	clear(d.header)
	d.values = d.values[:0]
	if len(block) == 0 {
		return d.header, nil
	}
	first, rest, ok := strings.Cut(string(block), "\r\n")
	if !ok || first != "NATS/1.0" {
		return nats.DecodeHeadersMsg(block)
	}
	for {
		line, more, ok := strings.Cut(rest, "\r\n")
		if !ok {
			return nil, nats.ErrBadHeaderMsg
		}
		if line == "" {
			return d.header, nil
		}
		rest = more
		key, value, ok := strings.Cut(line, ":")
		if !ok {
			return nil, nats.ErrBadHeaderMsg
		}
		if _, repeated := d.header[key]; repeated || key == "" {
			continue
		}
		d.values = append(d.values, strings.TrimLeft(value, " \t"))
		last := len(d.values)
		d.header[key] = d.values[last-1 : last : last]
	}
}
