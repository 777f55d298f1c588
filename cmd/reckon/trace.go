package main

import (
	"fmt"

	"github.com/reckon-project/reckon/projections/history"
	"github.com/spf13/cobra"
)

func newTrace() *cobra.Command {
	var output, field, endpoint string
	var h *historian
	cmd := &cobra.Command{
		Use:   "trace OBJECT[.field]",
		Short: "Export what led to an object as OpenTelemetry spans",
		Long: `Export the chain of events that reckon why shows as OpenTelemetry spans: each event lasts from its cause to itself.

  reckon trace pod/web-1                                             print OTLP/JSON, as collectors read it
  reckon trace pod/web-1 -o otlp --endpoint http://localhost:4318    send it to a collector over OTLP/HTTP`,
		Args: cobra.RangeArgs(1, 3),
		RunE: func(cmd *cobra.Command, args []string) error {
			if output != "json" && output != "otlp" {
				return fmt.Errorf("--output %q is neither json nor otlp", output)
			}
			if err := h.begin(cmd); err != nil {
				return err
			}
			s, query, err := h.question(args, field)
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			var traces history.Traces
			body, err := h.about(cmd.Context(), "trace", s, query, &traces)
			if err != nil {
				return err
			}
			if output == "json" {
				_, err := written(out, output, body)
				return err
			}
			n, err := exportTraces(cmd.Context(), &traces, endpoint)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(out, "%d spans were sent to %s\n", n, endpoint)
			return err
		},
	}
	h = historyFlags(cmd)
	cmd.Flags().StringVar(&field, "field", "", "the field asked about, for a name that holds dots")
	cmd.Flags().StringVarP(&output, "output", "o", "json", "json (printed) or otlp (sent)")
	cmd.Flags().StringVar(&endpoint, "endpoint", "http://localhost:4318", "where a collector takes OTLP over HTTP")
	return cmd
}
