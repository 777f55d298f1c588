package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"

	"k8s.io/klog/v2"
)

// setLogging sends what the program and the libraries in it log to standard
// error, from a level on. Progress and answers go to standard output.
func setLogging(level string) error {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return fmt.Errorf("--log-level %q is none of debug, info, warn, error", level)
	}
	logger := slog.New(withoutHarmless{slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: l})})
	slog.SetDefault(logger)
	klog.SetSlogLogger(logger)
	return nil
}

// harmless are what Kubernetes' libraries log as errors at every start, although
// nothing is wrong: no manifest of hidden metrics is in use, and the endpoint of
// the server before this one was this same server's.
var harmless = []string{
	"The manifest file is empty, ignoring.",
	"Found stale data, removed previous endpoints on kubernetes service, apiserver didn't exit successfully previously",
}

// withoutHarmless leaves out exactly those.
type withoutHarmless struct{ slog.Handler }

func (h withoutHarmless) Handle(ctx context.Context, r slog.Record) error {
	if slices.Contains(harmless, strings.TrimSpace(r.Message)) {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

func (h withoutHarmless) WithAttrs(attrs []slog.Attr) slog.Handler {
	return withoutHarmless{h.Handler.WithAttrs(attrs)}
}

func (h withoutHarmless) WithGroup(name string) slog.Handler {
	return withoutHarmless{h.Handler.WithGroup(name)}
}
