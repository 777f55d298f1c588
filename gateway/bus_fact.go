package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/client"
	"github.com/reckon-project/reckon/events"
)

// answering makes a service of messages: an answer or a refusal, as JSON.
func (s *Server) answering(answer func(context.Context, identity, bus.Message) (any, error)) func(context.Context, bus.Message) (bus.Message, error) {
	return func(ctx context.Context, m bus.Message) (bus.Message, error) {
		id, err := busIdentity(m.Subject)
		if err == nil {
			err = s.awaitRights(ctx)
		}
		var out any
		if err == nil {
			out, err = answer(ctx, id, m)
		}
		if err != nil {
			out = struct {
				Error *client.Error `json:"error"`
			}{refusal(err)}
		}
		data, err := json.Marshal(out)
		return bus.Message{Data: data}, err
	}
}

// refusal is an error as it goes over the wire.
func refusal(err error) *client.Error {
	var e *client.Error
	if errors.As(err, &e) {
		return e
	}
	for _, class := range []error{events.ErrGone, events.ErrInvalid, events.ErrNotFound, events.ErrConflict} {
		if errors.Is(err, class) {
			return client.AsError(class, "%v", err)
		}
	}
	return client.AsError(events.ErrUnavailable, "%v", err)
}

// takeFact appends what a custom controller reports about an object whose
// status it may patch. The subject names the object; header and data are the
// event's, of which the id, type, time and source may be left out.
func (s *Server) takeFact(ctx context.Context, id identity, m bus.Message) (any, error) {
	if id.leadership == "" {
		return nil, client.AsError(events.ErrInvalid, "%s is no custom controller", id.user.GetName())
	}
	object := strings.SplitN(m.Subject, ".", 4)[3]
	e, err := fact(id, object, m)
	if err != nil {
		return nil, err
	}
	if err := s.may(ctx, id, "patch", e.Key, "status"); err != nil {
		return nil, err
	}
	seq, err := s.options.Bus.Log().Append(ctx, bus.Entry{Event: e})
	if err != nil {
		return nil, err
	}
	if err := s.options.Log.WaitFor(ctx, seq); err != nil {
		return nil, err
	}
	o := s.options.Log.Snapshot().Get(e.Key)
	return client.Stored{Sequence: seq, Void: !o.Exists() || o.Version < seq}, nil
}

func fact(id identity, object string, m bus.Message) (*events.Event, error) {
	subject := events.PrefixFact + "." + events.EncodeToken(id.leadership) + "." + object
	named, err := events.ParseSubject(subject)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", events.ErrInvalid, err)
	}
	h := events.Header(maps.Clone(m.Header))
	if h == nil {
		h = events.Header{}
	}
	set := func(name, value string) {
		if len(h[name]) == 0 {
			h[name] = []string{value}
		}
	}
	set("ce-id", bus.NewID())
	set("ce-type", "dev.reckon."+named.Key.Resource+"."+events.Reported)
	set("ce-time", time.Now().UTC().Format(time.RFC3339Nano))
	set("content-type", events.ContentPatch)
	e, err := events.Parse(subject, h, m.Data)
	if err != nil {
		return nil, err
	}
	e.Source, e.Actor, e.Verb, e.Why = id.leadership, id.user.GetName(), "", ""
	switch {
	case e.Type != events.Reported:
		return nil, client.AsError(events.ErrInvalid, "a custom controller reports, it appends no %q", e.Type)
	case e.UID == "" || e.Counter == (events.Counter{}):
		return nil, client.AsError(events.ErrInvalid, "a fact has the headers ce-uid, the object's uid, and ce-counter, <incarnation>.<n>, which grows")
	case e.Component != "" && e.Component != id.leadership:
		return nil, client.AsError(events.ErrInvalid, "%s doesn't act under the leadership of %s", id.leadership, e.Component)
	}
	return e, nil
}
