package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
	"github.com/spf13/cobra"
)

// auditPrinter writes one line of the record a decision.
type auditPrinter func(w io.Writer, c projections.Change) error

func newAudit() *cobra.Command {
	var since, until, object, namespace, actor, output, level string
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Show who did what: every decision in the log with its actor, source, verb and result",
		Long: `Show who did what, oldest first. Every decision is here, those of users and those of the control plane;
a decision that had no effect is shown as void. What nodes reported is not (reckon events shows it).

  reckon audit --since 1h
  reckon audit --object deploy/web --actor alice
  reckon audit --since 24h -o audit        the audit.k8s.io/v1 Event format, a JSON document a line`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			filter := eventFilter{actor: actor, namespace: namespace}
			if object != "" {
				if namespace == "" {
					namespace = "default"
				}
				k, err := parseObject(object, namespace)
				if err != nil {
					return err
				}
				filter.object, filter.namespace = &k, ""
			}
			show, err := newAuditPrinter(output, level)
			if err != nil {
				return err
			}
			return withPast(cmd, func(ctx context.Context, b bus.Bus, p *projections.Projection) error {
				first, last, err := span(ctx, b.Log(), since, until, time.Now())
				if err != nil {
					return err
				}
				w := bufio.NewWriter(cmd.OutOrStdout())
				if output == "table" {
					if err := auditLine(w, "TIME", "SEQUENCE", "ACTOR", "SOURCE", "VERB", "OBJECT", "RESULT"); err != nil {
						return err
					}
				}
				if err := audit(ctx, p, first, last, &filter, show, w); err != nil {
					return err
				}
				return w.Flush()
			})
		},
	}
	dataFlags(cmd)
	f := cmd.Flags()
	f.StringVar(&since, "since", "", "first moment: a sequence, a time or an age like 2h (default: where the history begins)")
	f.StringVar(&until, "until", "now", "last moment")
	f.StringVar(&object, "object", "", "only this object, KIND/NAME or KIND/NAMESPACE/NAME")
	f.StringVarP(&namespace, "namespace", "n", "", "only this namespace")
	f.StringVar(&actor, "actor", "", "only what this user or component did")
	f.StringVarP(&output, "output", "o", "table", "table, json or audit (audit.k8s.io/v1)")
	f.StringVar(&level, "level", "Metadata", "of -o audit: Metadata, or RequestResponse with what was changed")
	return cmd
}

func newAuditPrinter(format, level string) (auditPrinter, error) {
	switch format {
	case "table":
		return func(w io.Writer, c projections.Change) error {
			e := c.Event
			return auditLine(w, e.Time.UTC().Format("2006-01-02T15:04:05.000Z"), fmt.Sprint(e.Sequence), by(e), e.Source, verbOf(e), e.Key.String(), resultOf(c))
		}, nil
	case "json":
		return printAuditJSON, nil
	case "audit":
		return kubernetesAudit(level)
	}
	return nil, fmt.Errorf("--output %q is none of table, json, audit", format)
}

func auditLine(w io.Writer, columns ...any) error {
	_, err := fmt.Fprintf(w, "%-24s  %-9s %-30s %-12s %-14s %-46s %s\n", columns...)
	return err
}

func printAuditJSON(w io.Writer, c projections.Change) error {
	e := c.Event
	line := map[string]any{
		"time": e.Time.UTC().Format(time.RFC3339Nano), "sequence": e.Sequence, "id": e.ID, "actor": actorOf(e), "source": e.Source,
		"verb": verbOf(e), "type": e.Type, "object": e.Key.String(), "result": resultOf(c),
	}
	optional(line, "reason", e.Reason)
	optional(line, "note", e.Note)
	optional(line, "traceparent", e.Traceparent)
	if len(e.Cause) > 0 {
		line["cause"] = e.Cause
	}
	data, err := json.Marshal(line)
	if err != nil {
		return err
	}
	_, err = w.Write(append(data, '\n'))
	return err
}

// audit shows the decisions from first to last. The log is folded, because only
// the fold knows which of them had an effect.
func audit(ctx context.Context, p *projections.Projection, first, last uint64, filter *eventFilter, show auditPrinter, w io.Writer) error {
	for changes, err := range p.History(ctx, max(first, 1)-1, last) {
		if err != nil {
			return err
		}
		for _, c := range changes {
			if c.Event.Prefix != events.PrefixDecision || c.Event.Type == "" || !filter.match(c) {
				continue
			}
			if err := show(w, c); err != nil {
				return err
			}
		}
	}
	return nil
}

// actorOf is the user behind a decision, or the component that took it by itself.
func actorOf(e *events.Event) string {
	if e.Actor != "" {
		return e.Actor
	}
	return "system:reckon:" + e.Source
}

// verbOf is the verb of the API behind a decision: a component's own decision
// is a patch of its object.
func verbOf(e *events.Event) string {
	switch {
	case e.Verb != "":
		return e.Verb
	case e.Type == events.Created:
		return "create"
	case e.Type == events.Deleted, e.Type == events.Deleting:
		return "delete"
	}
	return "patch"
}

func resultOf(c projections.Change) string {
	if c.Void != nil {
		return "void: " + c.Void.Error()
	}
	return c.Event.Type
}

// codeOf is the HTTP status that the decision's writer was answered with.
func codeOf(c projections.Change) int32 {
	switch {
	case c.Void != nil:
		return http.StatusConflict
	case verbOf(c.Event) == "create":
		return http.StatusCreated
	}
	return http.StatusOK
}
