package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/reckon-project/reckon/events"
)

const (
	leaseTTL   = 12 * time.Second // outlives a change of JetStream's leader (4 to 7 s)
	leaseRenew = 3 * time.Second
)

// lease is one component's entry in the stream LEASES: last value per subject,
// with a TTL. An empty value, or none, means that nobody leads.
type lease struct {
	c         *connection
	subject   string
	component string
	value     string // the holder and what makes this taking of the lease unique
	sequence  uint64 // of our last write
}

// Lead waits until the component's lease is free and takes it.
//
//	waiting ──free──► held (renewed every 3 s) ──renewal refused, or none for 12 s──► lost
//	                    └──────────────────────Release──────────────────────────────► free
func (c *connection) Lead(ctx context.Context, component, holder string) (Leadership, error) {
	l := &lease{c: c, subject: "lease." + events.EncodeToken(component), component: component, value: holder + " " + NewID()}
	if err := l.acquire(ctx); err != nil {
		return Leadership{}, fmt.Errorf("lead %s: %w", component, err)
	}
	taken := time.Now()
	epoch, err := c.log.Append(ctx, Entry{Event: ElectedEvent(component, holder, taken)})
	if err != nil {
		l.release()
		return Leadership{}, fmt.Errorf("lead %s: %w", component, err)
	}
	lctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(c.ctx, cancel)
	ended := make(chan struct{})
	c.task(func() {
		defer close(ended)
		l.hold(lctx, taken)
		stop()
		cancel()
		l.release()
	})
	release := sync.OnceFunc(func() {
		cancel()
		<-ended
	})
	return Leadership{Component: component, Epoch: epoch, Context: lctx, Release: release}, nil
}

// acquire follows the lease's subject and takes it when it is free.
func (l *lease) acquire(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	gctx, done := l.c.guardAPI(ctx, StreamLeases)
	defer done()
	consumer, err := l.c.js.OrderedConsumer(gctx, StreamLeases, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{l.subject}, DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy,
	})
	if err != nil {
		return unavailable("watch its lease", cause(gctx, err))
	}
	changes := make(chan bool, 1) // whether the lease looks free
	stop, err := consumer.Consume(func(m jetstream.Msg) {
		free := len(m.Data()) == 0
		select {
		case changes <- free:
		case <-ctx.Done():
		}
	})
	if err != nil {
		return unavailable("watch its lease", err)
	}
	defer func() {
		cancel()
		stop.Stop()
		<-stop.Closed()
	}()
	free := consumer.CachedInfo().NumPending == 0
	for {
		if free {
			taken, err := l.write(ctx, l.value, nil, leaseTTL)
			if taken {
				return nil
			}
			if err != nil && ctx.Err() == nil {
				return err
			}
		}
		// The expiry of the lease leaves a marker; the timer is for the case
		// that the stream was in trouble just then.
		select {
		case <-ctx.Done():
			return ctx.Err()
		case free = <-changes:
		case <-time.After(leaseTTL):
			free = true
		}
	}
}

// write puts a value under the expectation that the lease is ours (sequence
// set) or free (nil). false without an error: somebody else has it.
func (l *lease) write(ctx context.Context, value string, sequence *uint64, ttl time.Duration) (bool, error) {
	if sequence == nil {
		leases := &natsLog{c: l.c, stream: StreamLeases}
		m, err := leases.get(ctx, MessageQuery{LastBySubject: l.subject})
		switch {
		case errors.Is(err, events.ErrNotFound):
		case err != nil:
			return false, err
		case len(m.Data) > 0:
			return false, nil
		}
		sequence = &m.Sequence
	}
	m, err := l.c.nc.RequestMsgWithContext(ctx, &nats.Msg{
		Subject: l.subject, Data: []byte(value),
		Header: nats.Header{headerExpect: {strconv.FormatUint(*sequence, 10)}, headerTTL: {formatTTL(ttl)}},
	})
	if err != nil {
		return false, unavailable("write its lease", err)
	}
	ack, err := parseAck(m)
	switch {
	case err != nil:
		return false, unavailable("write its lease", err)
	case ack.Error != nil && ack.Error.conflict():
		return false, nil
	case ack.Error != nil:
		return false, unavailable("write its lease", ack.Error)
	}
	l.sequence = ack.Seq
	return true, nil
}

// hold renews until ctx ends or the lease is lost.
func (l *lease) hold(ctx context.Context, renewed time.Time) {
	tick := time.NewTicker(leaseRenew)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		// The lease counts from before the write, so that we give up first.
		start := time.Now()
		rctx, cancel := context.WithDeadline(ctx, renewed.Add(leaseTTL-leaseRenew))
		sequence := l.sequence
		held, err := l.write(rctx, l.value, &sequence, leaseTTL)
		cancel()
		switch {
		case held:
			renewed = start
		case err == nil:
			if !l.recover(ctx) {
				return
			}
			renewed = start
		case time.Since(renewed) >= leaseTTL-leaseRenew:
			return
		}
	}
}

// recover tells a lost answer to a renewal from a lost lease.
func (l *lease) recover(ctx context.Context) bool {
	leases := &natsLog{c: l.c, stream: StreamLeases}
	m, err := leases.get(ctx, MessageQuery{LastBySubject: l.subject})
	if err != nil || string(m.Data) != l.value || m.Sequence <= l.sequence {
		return false
	}
	l.sequence = m.Sequence
	return true
}

// release frees the lease if it is still ours.
func (l *lease) release() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(l.c.ctx), 2*time.Second)
	defer cancel()
	if l.c.nc.IsClosed() {
		return
	}
	sequence := l.sequence
	l.write(ctx, "", &sequence, time.Second) //nolint:errcheck // it expires otherwise
}
