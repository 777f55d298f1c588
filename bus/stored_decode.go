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
}

func (d *storedDecoder) decode(s Stored) (*events.Event, error) {
	header, err := d.parse(s.Header)
	if err != nil {
		return nil, err
	}
	var data []byte
	if len(s.Data) > 0 {
		data = append(data, s.Data...)
	}
	return decode(string(s.Subject), header, data, s.Sequence, s.Time)
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
