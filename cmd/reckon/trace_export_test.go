package main

import (
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/reckon-project/reckon/projections/history"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// sink is a small OTLP receiver over HTTP.
func sink(t *testing.T) (string, *collectorpb.ExportTraceServiceRequest) {
	got := &collectorpb.ExportTraceServiceRequest{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" {
			t.Errorf("%s %s %s", r.Method, r.URL, r.Header)
		}
		body, err := io.ReadAll(r.Body)
		if err == nil && r.Header.Get("Content-Encoding") == "gzip" {
			var z *gzip.Reader
			if z, err = gzip.NewReader(bytes.NewReader(body)); err == nil {
				body, err = io.ReadAll(z)
			}
		}
		if err == nil {
			err = proto.Unmarshal(body, got)
		}
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(s.Close)
	return s.URL, got
}

// TestExportTraces: a collector gets the chain: who caused what, when, in one trace.
func TestExportTraces(t *testing.T) {
	at := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	const trace = "0af7651916cd43dd8448eb211c80319c"
	traces := history.Trace(&history.Answer{Roots: []*history.Node{{
		Sequence: 7, Time: at, Object: history.Ref{Group: "apps", Resource: "deployments", Namespace: "default", Name: "web"}, Type: "scaled", By: "alice", ByUser: true,
		Trace: "00-" + trace + "-b7ad6b7169203331-01",
		Children: []*history.Node{
			{Sequence: 8, Time: at.Add(time.Second), Object: history.Ref{Resource: "pods", Namespace: "default", Name: "web-1"}, Type: "created", By: "replicaset-controller", Link: history.LinkCause, Also: []uint64{7}},
			{Sequence: 9, Time: at.Add(-time.Second), Object: history.Ref{Resource: "pods", Namespace: "default", Name: "web-2"}, Type: "reported", By: "node n1"},
		},
	}}})
	url, got := sink(t)
	n, err := exportTraces(t.Context(), traces, url)
	if err != nil || n != 3 {
		t.Fatalf("%d spans, %v", n, err)
	}
	spans := map[string]*tracepb.Span{}
	services := map[string]bool{}
	for _, r := range got.ResourceSpans {
		services[r.Resource.Attributes[0].Value.GetStringValue()] = true
		for _, s := range r.ScopeSpans[0].Spans {
			spans[s.Name] = s
		}
	}
	root, child, early := spans["deployment/web scaled"], spans["pod/web-1 created"], spans["pod/web-2 reported"]
	if len(spans) != 3 || !services["gateway"] || !services["replicaset-controller"] || !services["node n1"] {
		t.Fatalf("services %v, spans %v", services, spans)
	}
	if hex.EncodeToString(root.TraceId) != trace || hex.EncodeToString(root.ParentSpanId) != "b7ad6b7169203331" {
		t.Errorf("the root isn't in the trace of who began it: %v", root)
	}
	if string(child.TraceId) != string(root.TraceId) || string(child.ParentSpanId) != string(root.SpanId) || len(child.Links) != 1 || string(child.Links[0].SpanId) != string(root.SpanId) {
		t.Errorf("the child hangs elsewhere: %v", child)
	}
	if child.EndTimeUnixNano-child.StartTimeUnixNano != uint64(time.Second) {
		t.Errorf("the child lasts %d ns, want a second", child.EndTimeUnixNano-child.StartTimeUnixNano)
	}
	if early.StartTimeUnixNano > early.EndTimeUnixNano {
		t.Errorf("a span ends before it begins: %v", early)
	}
	for _, bad := range []string{"nowhere", "http://"} {
		if _, err := exportTraces(t.Context(), traces, bad); err == nil || !strings.Contains(err.Error(), "is no URL") {
			t.Errorf("endpoint %q: %v", bad, err)
		}
	}
}
