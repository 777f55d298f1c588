package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/url"
	"strconv"

	"github.com/reckon-project/reckon/projections/history"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
)

// exportTraces sends spans to a collector with OpenTelemetry's exporter, and
// says how many there were.
func exportTraces(ctx context.Context, t *history.Traces, endpoint string) (int, error) {
	address, err := url.Parse(endpoint)
	if err != nil || address.Host == "" {
		return 0, fmt.Errorf("--endpoint %q is no URL like http://localhost:4318", endpoint)
	}
	if address.Path == "" || address.Path == "/" {
		address.Path = "/v1/traces"
	}
	spans, n, err := traceSpans(t)
	if err != nil {
		return 0, err
	}
	client := otlptracehttp.NewClient(otlptracehttp.WithEndpointURL(address.String()))
	if err := client.Start(ctx); err != nil {
		return 0, fmt.Errorf("send spans to %s: %w", endpoint, err)
	}
	if err := client.UploadTraces(ctx, spans); err != nil {
		return 0, fmt.Errorf("send spans to %s: %w", endpoint, err)
	}
	return n, client.Stop(ctx)
}

// traceSpans are the spans as OTLP's messages.
func traceSpans(t *history.Traces) (out []*tracepb.ResourceSpans, n int, err error) {
	for _, r := range t.ResourceSpans {
		spans := &tracepb.ResourceSpans{Resource: &resourcepb.Resource{Attributes: traceAttributes(r.Resource.Attributes)}}
		for _, s := range r.ScopeSpans {
			scope := &tracepb.ScopeSpans{Scope: &commonpb.InstrumentationScope{Name: s.Scope.Name}}
			for i := range s.Spans {
				span, err := traceSpan(&s.Spans[i])
				if err != nil {
					return nil, 0, err
				}
				scope.Spans = append(scope.Spans, span)
				n++
			}
			spans.ScopeSpans = append(spans.ScopeSpans, scope)
		}
		out = append(out, spans)
	}
	return out, n, nil
}

func traceSpan(s *history.Span) (*tracepb.Span, error) {
	out := &tracepb.Span{Name: s.Name, Kind: tracepb.Span_SpanKind(s.Kind), Attributes: traceAttributes(s.Attributes)}
	var err error
	id := func(text string) []byte {
		b, e := hex.DecodeString(text)
		if e != nil && err == nil {
			err = e
		}
		return b
	}
	at := func(text string) uint64 {
		n, e := strconv.ParseUint(text, 10, 64)
		if e != nil && err == nil {
			err = e
		}
		return n
	}
	out.TraceId, out.SpanId, out.ParentSpanId = id(s.TraceID), id(s.SpanID), id(s.ParentID)
	out.StartTimeUnixNano, out.EndTimeUnixNano = at(s.Start), at(s.End)
	for _, l := range s.Links {
		out.Links = append(out.Links, &tracepb.Span_Link{TraceId: id(l.TraceID), SpanId: id(l.SpanID)})
	}
	if err != nil {
		return nil, fmt.Errorf("span %q: %w", s.Name, err)
	}
	return out, nil
}

func traceAttributes(attributes []history.Attribute) []*commonpb.KeyValue {
	var out []*commonpb.KeyValue
	for _, a := range attributes {
		v := &commonpb.AnyValue{}
		switch {
		case a.Value.Text != nil:
			v.Value = &commonpb.AnyValue_StringValue{StringValue: *a.Value.Text}
		case a.Value.Number != nil:
			n, err := strconv.ParseInt(*a.Value.Number, 10, 64)
			if err != nil {
				continue // it was written by FormatUint
			}
			v.Value = &commonpb.AnyValue_IntValue{IntValue: n}
		}
		out = append(out, &commonpb.KeyValue{Key: a.Key, Value: v})
	}
	return out
}
