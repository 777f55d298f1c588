package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
)

// importPending is how many events may be on their way to the stream.
const importPending = 4096

// Import fills the log of a fresh folder with events of another log, each with
// its own sequence: what refers to a sequence keeps its meaning. first is the
// first sequence (above 1 for a log that was trimmed); the events come in order
// and without a gap. done is called now and then with how far it is; nil is fine.
//
// Only Dir and Log of the options count. The folder is whole and durable when
// Import returns without an error, and is good for nothing otherwise. It is an
// error of class events.ErrExists when the folder has a log, and of class
// events.ErrInvalid when a sequence is missing.
func Import(ctx context.Context, options Options, first uint64, log iter.Seq2[*events.Event, error], done func(sequence uint64)) error {
	o, err := Options{Dir: options.Dir, Log: options.Log}.complete()
	if err != nil {
		return err
	}
	s := &Server{options: o, store: storeIn(o.Dir), secret: rand.Text(), ready: make(chan struct{})}
	if s.lock, err = lockDirectory(s.store); err != nil {
		return err
	}
	err = s.importLog(ctx, first, log, done)
	s.Shutdown()
	if err == nil {
		err = syncFileSystem(s.store)
	}
	if err != nil {
		return fmt.Errorf("import a log into %s: %w", o.Dir, err)
	}
	return nil
}

func (s *Server) importLog(ctx context.Context, first uint64, log iter.Seq2[*events.Event, error], done func(uint64)) error {
	o, err := s.natsOptions()
	if err != nil {
		return err
	}
	if s.nats, err = server.NewServer(o); err != nil {
		return err
	}
	s.nats.SetLoggerV2(&logger{log: s.options.Log}, false, false, false)
	s.nats.Start()
	if !s.nats.ReadyForConnections(startWait) {
		return fmt.Errorf("the NATS server did not start within %s: %w", startWait, events.ErrUnavailable)
	}
	nc, err := s.dial("component:bus")(nats.Name("import"))
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(importPending))
	if err != nil {
		return err
	}
	if _, err := js.Stream(ctx, bus.StreamLog); err == nil {
		return fmt.Errorf("%w: the folder has a log already", events.ErrExists)
	} else if !errors.Is(err, jetstream.ErrStreamNotFound) {
		return err
	}
	_, err = js.CreateStream(ctx, jetstream.StreamConfig{
		Name: bus.StreamLog, Subjects: []string{"log.>", "fact.>"}, Storage: jetstream.FileStorage,
		FirstSeq: first, DenyDelete: true, AllowAtomicPublish: true,
	})
	if err != nil {
		return fmt.Errorf("make stream %s: %w", bus.StreamLog, err)
	}
	if err := publishAll(ctx, js, first, log, done); err != nil {
		return err
	}
	return bus.CreateStreams(ctx, js, 1)
}

// publishAll publishes in order, and checks that each event got its own sequence.
func publishAll(ctx context.Context, js jetstream.JetStream, first uint64, log iter.Seq2[*events.Event, error], done func(uint64)) error {
	type waiting struct {
		sequence uint64
		ack      jetstream.PubAckFuture
	}
	var queue []waiting
	settle := func(keep int) error {
		for ; len(queue) > keep; queue = queue[1:] {
			select {
			case ack := <-queue[0].ack.Ok():
				if ack.Sequence != queue[0].sequence {
					return fmt.Errorf("%w: event %d became %d", events.ErrInvalid, queue[0].sequence, ack.Sequence)
				}
			case err := <-queue[0].ack.Err():
				return fmt.Errorf("event %d: %w", queue[0].sequence, err)
			case <-ctx.Done():
				return ctx.Err()
			}
			if done != nil && queue[0].sequence%importPending == 0 {
				done(queue[0].sequence)
			}
		}
		return nil
	}
	next := max(first, 1)
	for e, err := range log {
		if err != nil {
			return err
		}
		if e.Sequence != next {
			return fmt.Errorf("%w: the log has no event %d, the next one is %d", events.ErrInvalid, next, e.Sequence)
		}
		ack, err := js.PublishMsgAsync(imported(e))
		if err != nil {
			return fmt.Errorf("event %d: %w", e.Sequence, err)
		}
		queue = append(queue, waiting{e.Sequence, ack})
		if err := settle(importPending - 1); err != nil {
			return err
		}
		next++
	}
	return settle(0)
}

// imported is an event as a message that says when it was stored first.
func imported(e *events.Event) *nats.Msg {
	header := nats.Header(e.Header())
	if !e.Stored.IsZero() {
		header[bus.HeaderStored] = []string{e.Stored.UTC().Format(time.RFC3339Nano)}
	}
	return &nats.Msg{Subject: e.Subject(), Header: header, Data: e.Data}
}
