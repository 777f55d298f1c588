package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
)

// maxBuffered is how far a handler may write ahead of the reader of its response.
const maxBuffered = 1 << 20

// responseStream is the http.ResponseWriter of an in-process request and, at
// its other end, the response's body.
//
//	open ── first byte, header or flush ──► started ── handler returns ──► finished
type responseStream struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	header http.Header // the handler's, until it has started

	mu       sync.Mutex
	changed  sync.Cond
	started  chan struct{}
	sent     http.Header // nil until started
	code     int
	buffer   bytes.Buffer
	finished bool
	err      error // what Read gives after the buffer; io.EOF after a good end
	closed   bool  // the reader has closed the body
	detach   func() bool
}

func newResponseStream(ctx context.Context, cancel context.CancelCauseFunc) *responseStream {
	s := &responseStream{ctx: ctx, cancel: cancel, header: http.Header{}, started: make(chan struct{})}
	s.changed.L = &s.mu
	s.detach = context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.changed.Broadcast()
	})
	return s
}

func (s *responseStream) Header() http.Header { return s.header }

func (s *responseStream) WriteHeader(code int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.start(code)
}

// start fixes code and header; s.mu is held.
func (s *responseStream) start(code int) {
	if s.sent != nil || code < 200 {
		return
	}
	s.code, s.sent = code, s.header.Clone()
	close(s.started)
}

func (s *responseStream) Flush() { s.WriteHeader(http.StatusOK) }

// CloseNotify makes the API server's wrappers see that this writer can flush.
func (s *responseStream) CloseNotify() <-chan bool {
	gone := make(chan bool, 1)
	context.AfterFunc(s.ctx, func() { gone <- true })
	return gone
}

func (s *responseStream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.start(http.StatusOK)
	for s.buffer.Len() >= maxBuffered && !s.closed && s.ctx.Err() == nil {
		s.changed.Wait()
	}
	if s.closed || s.ctx.Err() != nil {
		return 0, errors.New("the reader of the response has gone")
	}
	n, err := s.buffer.Write(p)
	s.changed.Broadcast()
	return n, err
}

// finish ends the body, with err or well.
func (s *responseStream) finish(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.start(http.StatusOK)
		err = io.EOF
	}
	s.finished, s.err = true, err
	if s.sent == nil {
		close(s.started)
	}
	s.changed.Broadcast()
}

// response waits for the handler to start answering.
func (s *responseStream) response(req *http.Request) (*http.Response, error) {
	select {
	case <-s.started:
	case <-s.ctx.Done():
		s.Close()
		return nil, context.Cause(s.ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sent == nil {
		return nil, s.err
	}
	return &http.Response{
		Status:     fmt.Sprintf("%d %s", s.code, http.StatusText(s.code)),
		StatusCode: s.code, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: s.sent, Body: s, ContentLength: -1, Request: req,
	}, nil
}

func (s *responseStream) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.buffer.Len() == 0 {
		switch {
		case s.closed:
			return 0, http.ErrBodyReadAfterClose
		case s.finished:
			return 0, s.err
		case s.ctx.Err() != nil:
			return 0, context.Cause(s.ctx)
		}
		s.changed.Wait()
	}
	n, err := s.buffer.Read(p)
	s.changed.Broadcast()
	return n, err
}

func (s *responseStream) Close() error {
	s.mu.Lock()
	s.closed = true
	s.changed.Broadcast()
	s.mu.Unlock()
	s.detach()
	s.cancel(context.Canceled)
	return nil
}
