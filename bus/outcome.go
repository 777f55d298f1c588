package bus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/reckon-project/reckon/events"
)

// conflict answers a failed expectation: it is ours if our event is there.
func (a *acks) conflict(f *inflight, e *apiError) {
	if e.ErrCode == errWrongLastSequenceInFlight {
		// Something not yet settled is before us: it may even be ours.
		a.resolve(f, e)
		return
	}
	seq, last, err := f.log.find(a.c.ctx, f)
	switch {
	case err != nil:
		a.resolve(f, err)
	case seq > 0:
		a.stored(f, seq)
	default:
		a.finish(f, 0, a.conflicted(f, last))
	}
}

func (a *acks) conflicted(f *inflight, last uint64) error {
	c := &Conflict{Subject: f.subject, Last: last}
	if f.batch != nil {
		return fmt.Errorf("batch of %d events that ends with %s: %w", len(f.batch), f.subject, &Conflict{Subject: f.subject})
	}
	if f.entry.Expect != nil {
		c.Expected = *f.entry.Expect
	}
	return c
}

// errFull marks an append that was refused as there is no space.
var errFull = errors.New("not stored")

// errServerFull is for programs that are not in the server's process.
var errServerFull = fmt.Errorf("%w: the disk of the server is full; make free space in its data folder, appends then go on by themselves", events.ErrUnavailable)

// refused answers any other error of JetStream.
func (a *acks) refused(f *inflight, e *apiError) {
	class := events.ErrUnavailable
	switch {
	case e.full():
		full := errServerFull
		if known := f.log.full(); known != nil {
			full = known
		}
		a.finish(f, 0, fmt.Errorf("append to %s: %w: %w (%w)", f.subject, errFull, full, e))
		return
	case e.ErrCode == errMaxPayload, e.Code == 400:
		class = events.ErrInvalid
	}
	a.finish(f, 0, fmt.Errorf("append to %s: %w: not stored: %w", f.subject, class, e))
}

// resolve learns the outcome of an append whose answer was lost. It looks for
// the event by its id, and if it isn't there sends it again under an
// expectation that fails if the first copy comes after all.
func (a *acks) resolve(f *inflight, why error) {
	wait := 50 * time.Millisecond
	for {
		done, err := a.tryResolve(f)
		if done {
			return
		}
		if err == nil {
			err = why
		}
		select {
		case <-a.c.ctx.Done():
			a.finish(f, 0, fmt.Errorf("append to %s: %w: the outcome could not be learnt: %w", f.subject, events.ErrUnavailable, err))
			return
		case <-time.After(wait):
			wait = min(2*wait, time.Second)
		}
	}
}

func (a *acks) tryResolve(f *inflight) (bool, error) {
	ctx, cancel := context.WithTimeout(a.c.ctx, ackWait)
	defer cancel()
	seq, last, err := f.log.find(ctx, f)
	if err != nil {
		if d := (*Denied)(nil); errors.As(err, &d) {
			a.finish(f, 0, fmt.Errorf("append to %s: %w: the answer was lost and this identity may not read it back", f.subject, events.ErrUnavailable))
			return true, nil
		}
		return false, err
	}
	if seq > 0 {
		a.stored(f, seq)
		return true, nil
	}
	if f.batch != nil {
		// A batch without its commit stores nothing; one with it is found above.
		a.finish(f, 0, fmt.Errorf("batch of %d events that ends with %s: %w: not stored, its answer was lost", len(f.batch), f.subject, events.ErrUnavailable))
		return true, nil
	}
	h := maps.Clone(f.header)
	if f.entry.Expect == nil {
		h[headerExpect] = []string{strconv.FormatUint(last, 10)}
	}
	m, err := a.c.nc.RequestMsgWithContext(ctx, &nats.Msg{Subject: f.target, Header: h, Data: f.data})
	if err != nil {
		return false, err
	}
	ack, err := parseAck(m)
	switch {
	case err != nil:
		return false, err
	case ack.Error == nil:
		a.stored(f, ack.Seq)
		return true, nil
	case ack.Error.ErrCode == errWrongLastSequence && f.entry.Expect != nil:
		seq, last, err := f.log.find(ctx, f)
		if err != nil {
			return false, err
		}
		if seq > 0 {
			a.stored(f, seq)
		} else {
			a.finish(f, 0, a.conflicted(f, last))
		}
		return true, nil
	case ack.Error.conflict():
		return false, ack.Error
	}
	a.refused(f, ack.Error)
	return true, nil
}

// find looks for f's event among the messages of its subject above f.floor, at
// the stream's leader. seq is 0 when it isn't there; last is the subject's last
// sequence, 0 when it has no message.
func (l *natsLog) find(ctx context.Context, f *inflight) (seq, last uint64, err error) {
	from := f.floor + 1
	if f.entry.Expect != nil && f.batch == nil {
		from = *f.entry.Expect + 1
	}
	for {
		m, err := l.get(ctx, MessageQuery{Sequence: from, NextBySubject: f.subject})
		if errors.Is(err, events.ErrNotFound) {
			break
		}
		if err != nil {
			return 0, 0, err
		}
		last = m.Sequence
		if ids := m.Header["ce-id"]; len(ids) > 0 && ids[0] == f.entry.Event.ID {
			return m.Sequence, m.Sequence, nil
		}
		from = m.Sequence + 1
	}
	if last == 0 {
		m, err := l.get(ctx, MessageQuery{LastBySubject: f.subject})
		if err == nil {
			last = m.Sequence
		} else if !errors.Is(err, events.ErrNotFound) {
			return 0, 0, err
		}
	}
	return 0, last, nil
}
