package gateway

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/client"
	"github.com/reckon-project/reckon/events"
)

const (
	requestTime = time.Minute
	requestMost = 7 << 20 // bytes of an answer: a message holds 8 MiB
)

// do answers one API request that came as one message, for programs that
// have no HTTP over tunnels.
func (s *Server) do(ctx context.Context, m bus.Message) (bus.Message, error) {
	id, err := busIdentity(m.Subject)
	if err != nil {
		return bus.Message{}, err
	}
	if !id.known(s.options.Log.Snapshot()) {
		return doAnswer(http.StatusUnauthorized, "", []byte("the subject names no identity")), nil
	}
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	req, err := requestOf(ctx, m)
	if err != nil {
		return doAnswer(http.StatusBadRequest, "", []byte(err.Error())), nil
	}
	answer, err := (&inProcessTransport{s.local, id}).RoundTrip(req)
	if err != nil {
		return bus.Message{}, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, requestMost+1))
	if err != nil {
		return bus.Message{}, err
	}
	if len(body) > requestMost {
		return doAnswer(http.StatusRequestEntityTooLarge, "", fmt.Appendf(nil, "the answer is longer than %d bytes: ask for less with limit= and continue=", requestMost)), nil
	}
	return doAnswer(answer.StatusCode, answer.Header.Get("Content-Type"), body), nil
}

func requestOf(ctx context.Context, m bus.Message) (*http.Request, error) {
	h := http.Header{}
	for name, values := range m.Header {
		h[textproto.CanonicalMIMEHeaderKey(name)] = values
	}
	method, path := h.Get(client.HeaderMethod), h.Get(client.HeaderPath)
	if method == "" {
		method = http.MethodGet
	}
	if !strings.HasPrefix(path, "/") {
		return nil, fmt.Errorf("%w: the header %s is no path", events.ErrInvalid, client.HeaderPath)
	}
	req, err := http.NewRequestWithContext(ctx, method, "https://reckon"+path, bytes.NewReader(m.Data))
	if err != nil {
		return nil, err
	}
	for _, stream := range []string{"watch", "follow"} {
		if v := req.URL.Query().Get(stream); v != "" && v != "false" && v != "0" {
			return nil, fmt.Errorf("%w: one message can't carry a stream: ask on %s, or over a tunnel", events.ErrInvalid, "api.<identity>.log")
		}
	}
	h.Del(client.HeaderMethod)
	h.Del(client.HeaderPath)
	req.Header = h
	return req, nil
}

func doAnswer(status int, contentType string, body []byte) bus.Message {
	h := events.Header{client.HeaderStatus: {strconv.Itoa(status)}}
	if contentType != "" {
		h["Content-Type"] = []string{contentType}
	}
	return bus.Message{Header: h, Data: body}
}
