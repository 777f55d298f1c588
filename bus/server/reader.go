package server

import (
	"bufio"
	"context"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
)

// reader serves what restricted identities may read: a node its own feed and
// the one for all nodes, and whether its facts were stored. Who asks is a token
// of the subject, which NATS' permissions guarantee.
type reader struct {
	hub   *feedHub
	tasks sync.WaitGroup
}

// serveReads starts the reader; it ends with ctx.
func (s *Server) serveReads(ctx context.Context, b bus.Bus, nc *nats.Conn) error {
	r := &reader{hub: newFeedHub()}
	l, err := b.Listen(ctx, "read.*.conn")
	if err != nil {
		return err
	}
	err = b.Serve(ctx, "read.*.get.*", func(ctx context.Context, m bus.Message) (bus.Message, error) { return get(ctx, nc, m) })
	if err != nil {
		return err
	}
	if err := bus.ServePuts(ctx, b); err != nil {
		return err
	}
	s.tasks.Go(func() { r.hub.run(ctx, b.Feed(), s.options.Log) })
	s.tasks.Go(func() {
		defer r.tasks.Wait()
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			r.tasks.Go(func() {
				defer conn.Close()
				r.watch(ctx, conn)
			})
		}
	})
	return nil
}

// node gives the node's name of a subject read.<identity>.…, as a token.
func node(subject string) (string, bool) {
	identity, err := events.DecodeToken(strings.Split(subject, ".")[1])
	if err != nil {
		return "", false
	}
	name, ok := strings.CutPrefix(identity, "node:")
	return events.EncodeToken(name), ok && name != ""
}

// watch sends the feed to one watcher until either side ends.
func (r *reader) watch(ctx context.Context, conn net.Conn) {
	var request bus.WatchRequest
	in := bufio.NewReader(io.LimitReader(conn, 64<<10))
	line, err := in.ReadBytes('\n')
	if err != nil || json.Unmarshal(line, &request) != nil {
		return
	}
	out := bufio.NewWriterSize(conn, 32<<10)
	encoder := gob.NewEncoder(out)
	name, ok := node(conn.LocalAddr().String())
	own, shared := "feed."+name+".", "feed._."
	if len(request.Filters) == 0 {
		request.Filters = []string{own + ">", shared + ">"}
	}
	for _, f := range request.Filters {
		if !ok || !strings.HasPrefix(f, own) && !strings.HasPrefix(f, shared) {
			if encoder.Encode(bus.FeedFrame{Refused: f}) == nil {
				out.Flush() //nolint:errcheck // the watcher is gone
			}
			return
		}
	}
	w := r.hub.watch(request.Filters)
	defer r.hub.leave(w)
	gone := make(chan struct{})
	ended := make(chan struct{})
	go func() { // ends when the connection does
		defer close(ended)
		defer close(gone)
		io.Copy(io.Discard, conn) //nolint:errcheck // its end is what counts
	}()
	defer func() {
		conn.Close()
		<-ended
	}()
	for {
		select {
		case <-ctx.Done():
			return
		case <-gone:
			return
		case <-w.wake:
		}
		for _, item := range r.hub.take(w) {
			if encoder.Encode(bus.FeedFrame{Subject: item.Subject, Header: item.Header, Data: item.Data}) != nil {
				return
			}
		}
		if out.Flush() != nil {
			return
		}
	}
}

// get answers a question about one message among a node's own facts.
func get(ctx context.Context, nc *nats.Conn, m bus.Message) (bus.Message, error) {
	var q bus.MessageQuery
	if err := json.Unmarshal(m.Data, &q); err != nil {
		return bus.Message{}, fmt.Errorf("%w: %w", events.ErrInvalid, err)
	}
	name, ok := node(m.Subject)
	own := "fact." + name + "."
	subject := q.NextBySubject + q.LastBySubject
	if !ok || q.NextBySubject != "" && q.LastBySubject != "" || !strings.HasPrefix(subject, own) {
		return bus.Message{}, errors.New("a node reads its own facts only")
	}
	stream := strings.Split(m.Subject, ".")[3]
	if stream != bus.StreamLog {
		return bus.Message{}, fmt.Errorf("a node reads %s only", bus.StreamLog)
	}
	body, err := json.Marshal(q)
	if err != nil {
		return bus.Message{}, err
	}
	answer, err := nc.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+stream, body)
	if err != nil {
		return bus.Message{}, err
	}
	return bus.Message{Data: answer.Data}, nil
}
