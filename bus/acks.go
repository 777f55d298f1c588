package bus

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/reckon-project/reckon/events"
)

const (
	maxInflight = 8192            // appends without an answer; Start waits above that
	ackWait     = 5 * time.Second // after that the outcome is looked up
)

// inflight is an append whose answer is awaited.
type inflight struct {
	log      *natsLog
	entry    Entry
	batch    []Entry // of AppendBatch; entry is its last one
	subject  string
	target   string // where it is sent: subject, or where a restricted identity puts it
	header   nats.Header
	data     []byte
	complete func(uint64, error)

	number uint64 // in order of sending, per stream
	token  string // the last token of the reply subject
	floor  uint64 // the event, if stored, is above this sequence
	sent   time.Time
}

// acks matches JetStream's answers to the appends of one connection.
type acks struct {
	c      *connection
	prefix string
	sub    *nats.Subscription
	slots  chan struct{}

	mu      sync.Mutex
	waiting map[string]*inflight
	seen    map[string]uint64 // by stream: the newest sequence acknowledged to us
	next    uint64            // the newest token given
	groups  map[string]*group // by stream
	closed  bool
}

func (c *connection) startAcks() error {
	a := &acks{
		c: c, prefix: c.newInbox() + ".", slots: make(chan struct{}, maxInflight),
		waiting: map[string]*inflight{}, seen: map[string]uint64{}, groups: map[string]*group{},
	}
	c.acks = a
	var err error
	if a.sub, err = c.nc.Subscribe(a.prefix+"*", a.receive); err != nil {
		return fmt.Errorf("subscribe to acknowledgements: %w", err)
	}
	if err := a.sub.SetPendingLimits(-1, -1); err != nil { // bounded by slots
		return err
	}
	c.task(a.watch)
	return nil
}

// publish sends one append. Appends of one goroutine are sent in order.
func (a *acks) publish(f *inflight) {
	f.target = f.subject
	if a.c.restricted() {
		f.target = PutSubject(a.c.identity, f.subject)
	}
	a.slots <- struct{}{}
	f.sent = time.Now()
	a.mu.Lock()
	a.next++
	f.token = strconv.FormatUint(a.next, 36)
	if a.closed {
		a.mu.Unlock()
		a.finish(f, 0, fmt.Errorf("append to %s: %w: not stored, the connection is closed", f.subject, events.ErrUnavailable))
		return
	}
	f.floor = a.seen[f.log.stream]
	a.waiting[f.token] = f
	g := a.group(f.log.stream)
	g.sent++
	g.unanswered++
	f.number = g.sent
	a.mu.Unlock()
	err := a.c.nc.PublishMsg(&nats.Msg{Subject: f.target, Reply: a.prefix + f.token, Header: f.header, Data: f.data})
	if err != nil && a.take(f.token) != nil {
		a.finish(f, 0, fmt.Errorf("append to %s: %w: not stored: %w", f.subject, events.ErrUnavailable, err))
		a.regroup()
	}
}

func (a *acks) take(token string) *inflight {
	a.mu.Lock()
	f := a.waiting[token]
	if f != nil {
		delete(a.waiting, token)
		a.answered(f)
	}
	a.mu.Unlock()
	return f
}

func (a *acks) takeAll(match func(*inflight) bool) []*inflight {
	a.mu.Lock()
	var out []*inflight
	for token, f := range a.waiting {
		if match(f) {
			out = append(out, f)
			delete(a.waiting, token)
			a.answered(f)
		}
	}
	a.mu.Unlock()
	return out
}

func (a *acks) finish(f *inflight, seq uint64, err error) {
	f.complete(seq, err)
	<-a.slots
}

// receive handles one answer, in the subscription's goroutine.
func (a *acks) receive(m *nats.Msg) {
	f := a.take(strings.TrimPrefix(m.Subject, a.prefix))
	if f == nil {
		return // looked up meanwhile
	}
	ack, err := parseAck(m)
	switch {
	case err != nil:
		a.c.task(func() { a.resolve(f, err) })
	case ack.Error == nil:
		a.stored(f, ack.Seq)
		return
	case ack.Error.conflict():
		a.c.task(func() { a.conflict(f, ack.Error) })
	default:
		a.c.task(func() { a.refused(f, ack.Error) })
	}
	a.regroup()
}

// watch looks up what stays unanswered.
func (a *acks) watch() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-a.c.ctx.Done():
			return
		case now := <-tick.C:
			for _, f := range a.takeAll(func(f *inflight) bool { return now.Sub(f.sent) > ackWait }) {
				a.c.task(func() { a.resolve(f, nats.ErrTimeout) })
			}
			a.regroup()
		}
	}
}

// lost is called after a reconnect: answers may have been lost with the old connection.
func (a *acks) lost() {
	for _, f := range a.takeAll(func(*inflight) bool { return true }) {
		a.c.task(func() { a.resolve(f, nats.ErrDisconnected) })
	}
	a.regroup()
}

func (a *acks) denied(d *Denied) {
	for _, f := range a.takeAll(func(f *inflight) bool { return f.target == d.Subject }) {
		a.finish(f, 0, fmt.Errorf("append: %w", d))
	}
	a.regroup()
}

func (a *acks) close() {
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	for _, f := range a.takeAll(func(*inflight) bool { return true }) {
		a.finish(f, 0, fmt.Errorf("append to %s: %w: the outcome could not be learnt before the connection was closed", f.subject, events.ErrUnavailable))
	}
}

// ack is JetStream's answer to a publish.
type ack struct {
	Seq   uint64    `json:"seq"`
	Error *apiError `json:"error,omitempty"`
}

type apiError struct {
	Code        int    `json:"code"`
	ErrCode     int    `json:"err_code"`
	Description string `json:"description"`
}

const (
	errWrongLastSequence         = 10071
	errWrongLastSequenceInFlight = 10164
	errMaxPayload                = 10054

	// How JetStream words that it may not store more.
	errAccountFull = 10002
	errServerLimit = 10023
	errStorageFull = 10047
)

func (e *apiError) full() bool {
	return e.ErrCode == errAccountFull || e.ErrCode == errServerLimit || e.ErrCode == errStorageFull
}

func (e *apiError) Error() string {
	return fmt.Sprintf("%s (JetStream error %d)", e.Description, e.ErrCode)
}

func (e *apiError) conflict() bool {
	return e.ErrCode == errWrongLastSequence || e.ErrCode == errWrongLastSequenceInFlight
}

func parseAck(m *nats.Msg) (ack, error) {
	if status := m.Header.Get("Status"); status != "" {
		return ack{}, fmt.Errorf("no stream took it (status %s)", status)
	}
	var a ack
	if seq, ok := fastAck(m.Data); ok {
		a.Seq = seq
		return a, nil
	}
	if err := json.Unmarshal(m.Data, &a); err != nil {
		return ack{}, fmt.Errorf("answer of JetStream: %w", err)
	}
	return a, nil
}

// fastAck reads the one form that nearly all answers have:
// {"stream":"LOG", "seq":12}.
func fastAck(data []byte) (uint64, bool) {
	s := string(data)
	_, rest, ok := strings.Cut(s, `"seq":`)
	if !ok || strings.Contains(s, `"error"`) {
		return 0, false
	}
	rest = strings.TrimLeft(rest, " ")
	end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if end <= 0 {
		return 0, false
	}
	seq, err := strconv.ParseUint(rest[:end], 10, 64)
	return seq, err == nil && seq > 0
}
