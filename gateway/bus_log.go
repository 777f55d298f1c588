package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/client"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

const (
	pollWait     = 20 * time.Second
	pollWaitMost = time.Minute
	pollEvents   = 1000      // in one answer, and
	pollBytes    = 2 << 20   // of data
	followBytes  = 256 << 10 // of objects in one line
	// recheck is how long a right that was taken away may still be used by who
	// follows already.
	recheck = 10 * time.Second
)

// reading is what one identity reads of the log.
type reading struct {
	s       *Server
	id      identity
	want    map[logResource][]string // the namespaces; "" is all
	checked time.Time
}

type logResource struct{ group, name string }

// read checks what is asked for.
func (s *Server) read(ctx context.Context, id identity, r client.LogRequest) (*reading, error) {
	if len(r.Resources) == 0 {
		return nil, client.AsError(events.ErrInvalid, "a reader of the log names the resources that it wants")
	}
	reading := &reading{s: s, id: id, want: map[logResource][]string{}}
	for _, w := range r.Resources {
		k := logResource{w.Group, w.Resource}
		reading.want[k] = append(reading.want[k], w.Namespace)
	}
	return reading, reading.check(ctx)
}

// check makes sure, once in a while, that it may still be read.
func (r *reading) check(ctx context.Context) error {
	now := time.Now()
	if now.Sub(r.checked) < recheck {
		return nil
	}
	r.checked = now
	for of, namespaces := range r.want {
		for _, namespace := range namespaces {
			for _, verb := range []string{"list", "watch"} {
				if err := r.s.may(ctx, r.id, verb, events.Key{Group: of.group, Resource: of.name, Namespace: namespace}, ""); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (r *reading) wants(k events.Key) bool {
	for _, namespace := range r.want[logResource{k.Group, k.Resource}] {
		if namespace == "" || namespace == k.Namespace {
			return true
		}
	}
	return false
}

// events gives the events among changes that had an effect on what is read.
func (r *reading) events(changes []projections.Change) []client.Event {
	var out []client.Event
	for _, c := range changes {
		if c.Void == nil && r.wants(c.Event.Key) {
			out = append(out, client.WireEvent(c.Event))
		}
	}
	return out
}

// pollLog answers with events after a position, as soon as there are some.
func (s *Server) pollLog(ctx context.Context, id identity, m bus.Message) (any, error) {
	var q client.LogRequest
	if err := json.Unmarshal(m.Data, &q); err != nil {
		return nil, fmt.Errorf("%w: %w", events.ErrInvalid, err)
	}
	r, err := s.read(ctx, id, q)
	if err != nil {
		return nil, err
	}
	position := s.options.Log.Snapshot().Position()
	if q.After == 0 {
		return client.LogBatch{Position: position}, nil
	}
	wait := min(time.Duration(q.Wait)*time.Second, pollWaitMost)
	if wait <= 0 {
		wait = pollWait
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	b := client.LogBatch{Position: q.After}
	for changes, err := range s.options.Log.Changes(ctx, q.After, projections.BufferOnly()) {
		if errors.Is(err, context.DeadlineExceeded) {
			break
		}
		if err != nil {
			return nil, err
		}
		for bytes := 0; len(changes) > 0 && len(b.Events) < pollEvents && bytes < pollBytes; changes = changes[1:] {
			bytes += len(changes[0].Event.Data)
			b.Events = append(b.Events, r.events(changes[:1])...)
			b.Position = changes[0].Event.Sequence
		}
		if len(b.Events) > 0 {
			break
		}
	}
	return b, nil
}

// following is a reading over a tunnel.
type following struct {
	*reading
	mu       sync.Mutex // orders what is written
	out      *json.Encoder
	position uint64 // up to where the log was looked through
	reach    uint64 // asked for
}

// follow sends what one identity reads until the tunnel ends.
//
//	request ─► objects (if it knows nothing yet) ─► events, as they are folded
//	   └─────► reach: a position without events
func (s *Server) follow(ctx context.Context, id identity, conn net.Conn) {
	in := json.NewDecoder(conn)
	var q client.LogRequest
	if in.Decode(&q) != nil {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	var asked sync.WaitGroup
	defer func() {
		cancel()
		conn.Close()
		asked.Wait()
	}()
	f := &following{out: json.NewEncoder(conn), position: q.After}
	err := f.begin(ctx, s, id, q)
	if err == nil {
		asked.Go(func() {
			defer cancel()
			for {
				var r client.Reach
				if in.Decode(&r) != nil || f.askReach(r.Reach) != nil {
					return
				}
			}
		})
		err = f.run(ctx)
	}
	if ctx.Err() != nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.out.Encode(client.LogBatch{Error: refusal(err)}) //nolint:errcheck // the tunnel ends either way
}

// begin checks the rights and sends the objects to who knows nothing yet.
func (f *following) begin(ctx context.Context, s *Server, id identity, q client.LogRequest) (err error) {
	if f.reading, err = s.read(ctx, id, q); err != nil || q.After > 0 {
		return err
	}
	if err := s.options.Log.WaitFor(ctx, 1); err != nil {
		return err
	}
	return f.sendObjects(s.options.Log.Snapshot())
}

// run sends events until the tunnel or the right to them ends.
func (f *following) run(ctx context.Context) error {
	for changes, err := range f.s.options.Log.Changes(ctx, f.position, projections.BufferOnly()) {
		if err == nil {
			err = f.check(ctx)
		}
		if err == nil {
			err = f.send(changes)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// sendObjects sends all objects that are read, as of one position.
func (f *following) sendObjects(snapshot *projections.Snapshot) error {
	var b client.LogBatch
	size := 0
	for of := range f.want {
		for o := range snapshot.List(of.group, of.name, "") {
			if !f.wants(o.Key) {
				continue
			}
			data, err := events.EncodeObject(o.Value)
			if err != nil {
				return err
			}
			b.Objects = append(b.Objects, client.Object{Version: o.Version, Group: of.group, Name: of.name, Value: data})
			if size += len(data); size < followBytes {
				continue
			}
			if err := f.out.Encode(b); err != nil {
				return err
			}
			b.Objects, size = nil, 0
		}
	}
	f.position = snapshot.Position()
	b.Position = f.position
	return f.out.Encode(b)
}

func (f *following) send(changes []projections.Change) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	b := client.LogBatch{Position: changes[len(changes)-1].Event.Sequence, Events: f.events(changes)}
	f.position = b.Position
	if len(b.Events) == 0 && (f.reach == 0 || f.reach > f.position) {
		return nil
	}
	if f.reach <= f.position {
		f.reach = 0
	}
	return f.out.Encode(b)
}

// askReach answers at once if the log was looked through so far.
func (f *following) askReach(sequence uint64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.position < sequence {
		f.reach = max(f.reach, sequence)
		return nil
	}
	return f.out.Encode(client.LogBatch{Position: f.position})
}
