package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/reckon-project/reckon/events"
)

// rawMessage is a stored message as the stream's leader gives it.
type rawMessage struct {
	Subject  string
	Sequence uint64
	Time     time.Time
	Header   nats.Header
	Data     []byte
}

const errNoMessageFound = 10037

// get asks the stream's leader for one message. (Direct reads, which cost less,
// may be answered by a replica that is behind: only a single server is asked so.)
func (l *natsLog) get(ctx context.Context, query MessageQuery) (rawMessage, error) {
	if l.local() != nil {
		return l.getDirect(ctx, query)
	}
	body, err := json.Marshal(query)
	if err != nil {
		return rawMessage{}, err
	}
	subject := "$JS.API.STREAM.MSG.GET." + l.stream
	if l.c.restricted() {
		subject = ReadSubject(l.c.identity, "get."+l.stream)
	}
	gctx, done := l.c.guard(ctx, func(s string) bool { return s == subject })
	defer done()
	m, err := l.c.nc.RequestWithContext(gctx, subject, body)
	if err != nil {
		return rawMessage{}, unavailable("read from "+l.stream, cause(gctx, err))
	}
	if text := m.Header.Get(errorHeader); text != "" {
		return rawMessage{}, unavailable("read from "+l.stream, errors.New(text))
	}
	var answer struct {
		Error   *apiError `json:"error"`
		Message struct {
			Subject string    `json:"subject"`
			Seq     uint64    `json:"seq"`
			Header  []byte    `json:"hdrs"`
			Data    []byte    `json:"data"`
			Time    time.Time `json:"time"`
		} `json:"message"`
	}
	if err := json.Unmarshal(m.Data, &answer); err != nil {
		return rawMessage{}, fmt.Errorf("read from %s: %w", l.stream, err)
	}
	if e := answer.Error; e != nil {
		if e.ErrCode == errNoMessageFound {
			return rawMessage{}, fmt.Errorf("read from %s: %w", l.stream, events.ErrNotFound)
		}
		return rawMessage{}, unavailable("read from "+l.stream, e)
	}
	raw := rawMessage{Subject: answer.Message.Subject, Sequence: answer.Message.Seq, Time: answer.Message.Time, Data: answer.Message.Data}
	if len(answer.Message.Header) > 0 {
		if raw.Header, err = nats.DecodeHeadersMsg(answer.Message.Header); err != nil {
			return rawMessage{}, fmt.Errorf("read sequence %d from %s: %w", raw.Sequence, l.stream, err)
		}
	}
	return raw, nil
}

func (l *natsLog) getDirect(ctx context.Context, query MessageQuery) (rawMessage, error) {
	body, err := json.Marshal(query)
	if err != nil {
		return rawMessage{}, err
	}
	m, err := l.c.nc.RequestWithContext(ctx, "$JS.API.DIRECT.GET."+l.stream, body)
	if err != nil {
		return rawMessage{}, unavailable("read from "+l.stream, err)
	}
	switch status := m.Header.Get("Status"); status {
	case "":
	case "404":
		return rawMessage{}, fmt.Errorf("read from %s: %w", l.stream, events.ErrNotFound)
	default:
		return rawMessage{}, unavailable("read from "+l.stream, fmt.Errorf("status %s: %s", status, m.Header.Get("Description")))
	}
	raw := rawMessage{Subject: m.Header.Get("Nats-Subject"), Header: m.Header, Data: m.Data}
	if raw.Sequence, err = strconv.ParseUint(m.Header.Get("Nats-Sequence"), 10, 64); err != nil {
		return rawMessage{}, fmt.Errorf("read from %s: its sequence: %w", l.stream, err)
	}
	if raw.Time, err = time.Parse(time.RFC3339Nano, m.Header.Get("Nats-Time-Stamp")); err != nil {
		return rawMessage{}, fmt.Errorf("read sequence %d from %s: its time: %w", raw.Sequence, l.stream, err)
	}
	for _, name := range []string{"Nats-Stream", "Nats-Subject", "Nats-Sequence", "Nats-Time-Stamp"} {
		delete(m.Header, name)
	}
	return raw, nil
}
