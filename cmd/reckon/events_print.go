package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
	"github.com/reckon-project/reckon/projections/history"
)

type eventPrinter interface {
	print(c projections.Change) error
	flush() error
}

func newEventPrinter(w io.Writer, format string) (eventPrinter, error) {
	b := bufio.NewWriter(w)
	switch format {
	case "table":
		return &tablePrinter{w: b}, nil
	case "json":
		return &jsonPrinter{w: b, shape: plainJSON}, nil
	case "cloudevents":
		return &jsonPrinter{w: b, shape: cloudEvent}, nil
	}
	return nil, fmt.Errorf("--output %q is none of table, json, cloudevents", format)
}

func typeNames() string {
	var names []string
	for t := range events.Types {
		names = append(names, t)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// tablePrinter writes one line an event. Widths are fixed, so that the lines of
// a followed log stand under one another.
type tablePrinter struct {
	w      *bufio.Writer
	headed bool
}

const tableLine = "%-9s %-12s %-13s %-46s %-30s %s\n"

func (t *tablePrinter) print(c projections.Change) error {
	if !t.headed {
		t.headed = true
		fmt.Fprintf(t.w, tableLine, "SEQUENCE", "TIME", "TYPE", "OBJECT", "BY", "WHAT")
	}
	e := c.Event
	_, err := fmt.Fprintf(t.w, tableLine, fmt.Sprint(e.Sequence), e.Time.Local().Format("15:04:05.000"), e.Type, e.Key, by(e), what(c))
	return err
}

func (t *tablePrinter) flush() error { return t.w.Flush() }

// by names who is behind an event: the user or component, else the reporter.
func by(e *events.Event) string {
	switch {
	case e.Prefix == events.PrefixFact && !strings.HasPrefix(e.Reporter, "controller:"):
		return "node " + e.Reporter
	case e.Actor != "":
		return strings.TrimPrefix(strings.TrimPrefix(e.Actor, "system:serviceaccount:kube-system:"), "system:")
	}
	return e.Source
}

// what says in words what an event did.
func what(c projections.Change) string {
	e := c.Event
	var text string
	switch {
	case e.Note != "" && e.Reason != "":
		var steps []string
		for _, s := range e.Steps() {
			steps = append(steps, s.Reason+": "+s.Note)
		}
		text = strings.Join(steps, "; ")
	case e.Note != "":
		text = e.Note
	case e.Type == events.Created && c.New.Exists():
		text = cmp.Or(history.Summary(c.New.Value), "Created")
	case e.Reason != "":
		text = e.Reason
	default:
		text = changedFields(c)
	}
	if c.Void != nil {
		text = strings.TrimSpace("(" + c.Void.Error() + ") " + text)
	}
	return text
}

// jsonPrinter writes one JSON document a line.
type jsonPrinter struct {
	w     *bufio.Writer
	shape func(projections.Change) any
}

func (j *jsonPrinter) print(c projections.Change) error {
	data, err := json.Marshal(j.shape(c))
	if err != nil {
		return err
	}
	if _, err := j.w.Write(data); err != nil {
		return err
	}
	return j.w.WriteByte('\n')
}

func (j *jsonPrinter) flush() error { return j.w.Flush() }

func plainJSON(c projections.Change) any {
	e := c.Event
	out := map[string]any{
		"sequence": e.Sequence, "subject": e.Subject(), "object": e.Key.String(), "id": e.ID, "source": e.Source,
		"type": e.Type, "time": e.Time.UTC().Format(time.RFC3339Nano), "actor": e.Actor, "contentType": e.ContentType,
	}
	optional(out, "reporter", e.Reporter)
	optional(out, "reason", e.Reason)
	optional(out, "note", e.Note)
	optional(out, "verb", e.Verb)
	optional(out, "traceparent", e.Traceparent)
	if len(e.Cause) > 0 {
		out["cause"] = e.Cause
	}
	if len(e.Data) > 0 {
		out["data"] = data(e)
	}
	if c.Void != nil {
		out["void"] = c.Void.Error()
	}
	return out
}

// cloudEvent is the JSON event format of CloudEvents 1.0.
func cloudEvent(c projections.Change) any {
	e := c.Event
	out := map[string]any{}
	for k, v := range e.Header() {
		if name, ok := strings.CutPrefix(k, "ce-"); ok {
			out[name] = plain(v[0])
		}
	}
	out["sequence"] = fmt.Sprint(e.Sequence)
	if e.ContentType != "" {
		out["datacontenttype"] = e.ContentType
		out["data"] = data(e)
	}
	if c.Void != nil {
		out["void"] = c.Void.Error()
	}
	return out
}

// plain undoes the percent-encoding that is for headers only.
func plain(s string) string {
	if text, err := url.PathUnescape(s); err == nil {
		return text
	}
	return s
}

func data(e *events.Event) any {
	if json.Valid(e.Data) {
		return json.RawMessage(e.Data)
	}
	return string(e.Data)
}

func optional(m map[string]any, k, v string) {
	if v != "" {
		m[k] = v
	}
}
