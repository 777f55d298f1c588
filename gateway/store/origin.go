package store

import (
	"context"

	"go.opentelemetry.io/otel/trace"
	"k8s.io/apiserver/pkg/endpoints/request"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
)

// Origin is what the writer of an event knows about it beyond the request:
// built-in controllers and the gateway put it into the context of a write.
type Origin struct {
	Type        string   // the event's type, if it is an update; "" lets the change decide
	Cause       []uint64 // sequences of the events that this one answers
	Reason      string   // CamelCase
	Note        string   // a sentence for people
	Traceparent string   // W3C trace context
	Component   string   // the leadership under which the writer acts
	Epoch       uint64   // its sequence
	Source      string   // the component that writes; "" is the store's own
}

type originKey struct{}

// WithOrigin gives the events of the writes done under ctx their origin.
func WithOrigin(ctx context.Context, o Origin) context.Context {
	return context.WithValue(ctx, originKey{}, o)
}

// WithTraceparent sets the origin's W3C trace context and keeps the rest.
func WithTraceparent(ctx context.Context, traceparent string) context.Context {
	o := OriginOf(ctx)
	o.Traceparent = traceparent
	return WithOrigin(ctx, o)
}

// WithCause sets the origin's causes and keeps the rest.
func WithCause(ctx context.Context, cause ...uint64) context.Context {
	o := OriginOf(ctx)
	o.Cause = cause
	return WithOrigin(ctx, o)
}

// OriginOf is the origin that WithOrigin put into ctx.
func OriginOf(ctx context.Context) Origin {
	o, _ := ctx.Value(originKey{}).(Origin)
	return o
}

// describe fills in who asked for an event, and why.
func describe(ctx context.Context, e *events.Event) {
	o := OriginOf(ctx)
	e.Cause, e.Component, e.Epoch = o.Cause, o.Component, o.Epoch
	if o.Reason != "" {
		e.Reason = o.Reason
	}
	if o.Note != "" {
		e.Note = o.Note
	}
	switch e.Type {
	case events.Created, events.Joined, events.Deleting, events.Deleted: // these are what they are
	default:
		if o.Type != "" {
			e.Type = o.Type
		}
	}
	if o.Source != "" {
		e.Source = o.Source
	}
	e.Traceparent = o.Traceparent
	if e.Traceparent == "" {
		e.Traceparent = traceparent(ctx)
	}
	if e.Traceparent == "" { // what a user asks for begins a trace
		e.Traceparent = bus.NewTraceparent()
	}
	if user, ok := request.UserFrom(ctx); ok {
		e.Actor = user.GetName()
	}
	if info, ok := requestInfo(ctx); ok {
		e.Verb = info.Verb
		if info.Subresource != "" {
			e.Verb += "/" + info.Subresource
		}
	}
}

// requestInfo gives the API request behind a write, if there is one.
func requestInfo(ctx context.Context) (request.RequestInfo, bool) {
	info, ok := request.RequestInfoFrom(ctx)
	if !ok || !info.IsResourceRequest {
		return request.RequestInfo{}, false
	}
	return *info, true
}

func traceparent(ctx context.Context) string {
	s := trace.SpanContextFromContext(ctx)
	if !s.IsValid() {
		return ""
	}
	flags := "00"
	if s.IsSampled() {
		flags = "01"
	}
	return "00-" + s.TraceID().String() + "-" + s.SpanID().String() + "-" + flags
}
